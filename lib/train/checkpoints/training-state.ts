import type { Plan } from '../../compile/index.js';
import type { Batch, RunData } from '../../data/index.js';
import { StepClock } from '../../methods/index.js';
import type { ClockStates, Method, Refresh } from '../../methods/index.js';
import type { Engine, RunResult } from '../../runtime/index.js';
import { PreferenceMetrics } from '../evaluation/metrics/preference-metrics.js';
import { layerRates, scaledRates, type LearningRates } from '../schedule/learning-rates.js';
import { runOptimizerStep } from '../schedule/optimizer-step.js';
import type { OptimizerStepResult } from '../schedule/optimizer-step.js';

export interface TrainingStateOptions {
  readonly engine: Pick<Engine, 'run'>;
  readonly plan: Plan;
  readonly dataset: Pick<RunData, 'trainBatch' | 'numCountedTokens'>;
  readonly method: Method;
  readonly ratesAt: (completedSteps: number) => LearningRates;
  /** Of plans whose layers have rates of their own. */
  readonly layerLearningRateDecay?: number;
  readonly batchSize: number;
  readonly gradientAccumulationSteps: number;
  /** Of a run that learns preferences. */
  readonly preference?: { readonly beta: number };
}

/** Micro-batches that are read before they are needed: one is queued behind the one that runs. */
const maxBatchesAhead = 2;

/** Counters of a run; with the tensors of the engine they are all that the next step depends on. */
export interface TrainingCounters {
  readonly step: number;
  readonly numSequencesSeen: number;
  readonly numTokensSeen: number;
  /** What the method counts. */
  readonly clocks: ClockStates;
}

export interface AdvanceResult extends OptimizerStepResult {
  readonly learningRate: number;
  readonly numTokens: number;
  /** Of preference pairs (`PreferenceMetrics`). */
  readonly metrics: Readonly<Record<string, number>> | undefined;
  readonly dataMs: number;
  readonly refreshMs: number;
  /** What the method tells of a refresh, when this step ended with one. */
  readonly refresh: Refresh['report'] | undefined;
}

/** A run from one optimizer step to the next, exactly: equal counters and tensors give equal next steps. */
export class TrainingState {
  readonly #options: TrainingStateOptions;
  readonly #clock: StepClock;
  readonly #ratesOfLayers: ReturnType<typeof layerRates>;
  #numSequencesSeen = 0;
  #numTokensSeen = 0;
  /** Micro-batches that are being read for those to come. */
  #ahead: readonly { readonly position: number; readonly batch: Promise<Batch> }[] = [];

  constructor(options: TrainingStateOptions) {
    this.#options = options;
    this.#clock = new StepClock(options.method);
    const { plan, layerLearningRateDecay: decay } = options;
    this.#ratesOfLayers = decay === undefined ? () => ({}) : layerRates(plan, decay);
  }

  get step(): number {
    return this.#clock.completedSteps;
  }

  get counters(): TrainingCounters {
    return {
      step: this.step,
      numSequencesSeen: this.#numSequencesSeen,
      numTokensSeen: this.#numTokensSeen,
      clocks: this.#clock.states(),
    };
  }

  /** Back to before the first step. */
  reset(): void {
    const clocks = new StepClock(this.#options.method).states();
    this.restore({ step: 0, numSequencesSeen: 0, numTokensSeen: 0, clocks });
  }

  restore({ step, numSequencesSeen, numTokensSeen, clocks }: TrainingCounters): void {
    this.#clock.restore(step, clocks);
    this.#numSequencesSeen = numSequencesSeen;
    this.#numTokensSeen = numTokensSeen;
  }

  /**
   * Runs the next optimizer step, and what its method does between steps where that falls due. When the result is not updated,
   * or the run fails or is aborted before its update, nothing has changed.
   */
  async advance(
    options: { readonly signal?: AbortSignal; readonly checkFinite?: boolean } = {},
  ): Promise<AdvanceResult> {
    const { engine, plan, dataset, ratesAt, batchSize, gradientAccumulationSteps, preference } =
      this.#options;
    const preferences = new PreferenceMetrics(preference);
    const first = this.#numSequencesSeen;
    const numTokens = dataset.numCountedTokens(first, this.#windowSequences);
    let dataMs = 0;
    const microBatch = async (index: number): Promise<Batch> => {
      const begin = performance.now();
      const batch = await this.#read(first + index * batchSize);
      dataMs += performance.now() - begin;
      return batch;
    };
    const window = {
      numMicroBatches: gradientAccumulationSteps,
      numCountedTokens: numTokens,
      microBatch,
      onOutputs: (batch: Batch, outputs: RunResult['outputs']) => preferences.add(batch, outputs),
    };
    const rates = scaledRates(ratesAt(this.step), this.#clock.learningRateFactor);
    const scalars = { ...this.#clock.scalars, ...rates, ...this.#ratesOfLayers(rates) };
    const { variant } = this.#clock;
    const result = await runOptimizerStep(engine, plan, window, scalars, { ...options, variant });
    const computeMs = result.computeMs - dataMs;
    const { learningRate } = rates;
    const { metrics } = preferences;
    const outcome = { ...result, learningRate, numTokens, metrics, dataMs, computeMs };
    if (!result.isUpdated) return { ...outcome, refreshMs: 0, refresh: undefined };
    this.#numSequencesSeen += this.#windowSequences;
    this.#numTokensSeen += numTokens;
    const refreshStart = performance.now();
    const { entries = [], report = {} } = this.#clock.completeStep() ?? {};
    for (const entry of entries) {
      // A model may have nothing that the entry concerns.
      if (plan.entries[entry] === undefined) continue;
      await engine.run(entry, { scalars: this.#clock.scalars, checkFinite: options.checkFinite });
    }
    return {
      ...outcome,
      refreshMs: performance.now() - refreshStart,
      refresh: Object.keys(report).length === 0 ? undefined : report,
    };
  }

  /** Waits for reads that are under way, so that their file may be closed. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#ahead.map(({ batch }) => batch));
  }

  get #windowSequences(): number {
    return this.#options.batchSize * this.#options.gradientAccumulationSteps;
  }

  /** The micro-batch at a position; the reads of those behind it begin, while the engine works on this one. */
  #read(position: number): Promise<Batch> {
    const { dataset, batchSize } = this.#options;
    const known = this.#ahead.filter((read) => read.position >= position);
    const reads = Array.from({ length: 1 + maxBatchesAhead }, (_, i) => {
      const wanted = position + i * batchSize;
      const found = known.find((read) => read.position === wanted);
      if (found !== undefined) return found;
      const batch = dataset.trainBatch(wanted, batchSize);
      batch.catch(() => undefined); // told when the batch is asked for
      return { position: wanted, batch };
    });
    this.#ahead = reads.slice(1);
    return reads[0]!.batch;
  }
}
