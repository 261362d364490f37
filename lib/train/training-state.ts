import type { Plan } from '../compile/index.js';
import type { Batch, Dataset } from '../data/index.js';
import type { Method } from '../methods/index.js';
import { ProjectionScheduler } from '../projection/index.js';
import type { ProjectionState } from '../projection/index.js';
import type { Engine } from '../runtime/index.js';
import type { LearningRates } from './learning-rates.js';
import { runOptimizerStep } from './optimizer-step.js';
import type { OptimizerStepResult } from './optimizer-step.js';

export interface TrainingStateOptions {
  readonly engine: Pick<Engine, 'run'>;
  readonly plan: Plan;
  readonly dataset: Pick<Dataset, 'trainBatch'>;
  readonly method: Method;
  readonly ratesAt: (completedSteps: number) => LearningRates;
  readonly batchSize: number;
  readonly gradientAccumulationSteps: number;
}

/** Counters of a run; with the tensors of the engine they are all that the next step depends on. */
export interface TrainingCounters {
  readonly step: number;
  readonly numSequencesSeen: number;
  readonly numTokensSeen: number;
  readonly projection: ProjectionState;
}

export interface AdvanceResult extends OptimizerStepResult {
  readonly learningRate: number;
  readonly numTokens: number;
  readonly dataMs: number;
  readonly refreshMs: number;
  /** The epoch of the new projections, when this step ended with a refresh. */
  readonly refreshedEpoch: number | undefined;
}

/** A run from one optimizer step to the next, exactly: equal counters and tensors give equal next steps. */
export class TrainingState {
  readonly #options: TrainingStateOptions;
  readonly #projections: ProjectionScheduler;
  #step = 0;
  #numSequencesSeen = 0;
  #numTokensSeen = 0;
  #next: { readonly position: number; readonly window: Promise<readonly Batch[]> } | undefined;

  constructor(options: TrainingStateOptions) {
    this.#options = options;
    this.#projections = new ProjectionScheduler(options.method.refresh);
  }

  get step(): number {
    return this.#step;
  }

  get counters(): TrainingCounters {
    return {
      step: this.#step,
      numSequencesSeen: this.#numSequencesSeen,
      numTokensSeen: this.#numTokensSeen,
      projection: this.#projections.state(),
    };
  }

  /** Back to before the first step. */
  reset(): void {
    this.restore({
      step: 0,
      numSequencesSeen: 0,
      numTokensSeen: 0,
      projection: new ProjectionScheduler().state(),
    });
  }

  restore({ step, numSequencesSeen, numTokensSeen, projection }: TrainingCounters): void {
    this.#projections.restore(projection);
    this.#step = step;
    this.#numSequencesSeen = numSequencesSeen;
    this.#numTokensSeen = numTokensSeen;
  }

  /**
   * Runs the next optimizer step, and the refresh of projections where it falls due. When the result is not updated,
   * or the run fails or is aborted before its update, nothing has changed.
   */
  async advance(
    options: { readonly signal?: AbortSignal; readonly checkFinite?: boolean } = {},
  ): Promise<AdvanceResult> {
    const { engine, plan, ratesAt } = this.#options;
    const start = performance.now();
    const window = await this.#window();
    const dataMs = performance.now() - start;
    this.#prefetch(this.#numSequencesSeen + this.#windowSequences);
    const rates = ratesAt(this.#step);
    const scalars = { ...this.#projections.scalars, ...rates };
    const result = await runOptimizerStep(engine, plan, window, scalars, options);
    const numTokens = window.reduce((sum, batch) => sum + batch.numCountedTokens, 0);
    const { learningRate } = rates;
    const outcome = { ...result, learningRate, numTokens, dataMs };
    if (!result.isUpdated) return { ...outcome, refreshMs: 0, refreshedEpoch: undefined };
    this.#step++;
    this.#numSequencesSeen += this.#windowSequences;
    this.#numTokensSeen += numTokens;
    const refreshStart = performance.now();
    const isRefreshed = this.#projections.completeStep();
    const after = this.#projections.scalars;
    if (isRefreshed && plan.entries['refresh'] !== undefined)
      await engine.run('refresh', { scalars: after, checkFinite: options.checkFinite });
    const refreshedEpoch = isRefreshed ? after.projectionEpoch : undefined;
    return { ...outcome, refreshMs: performance.now() - refreshStart, refreshedEpoch };
  }

  /** Waits for reads that are under way, so that their file may be closed. */
  async settle(): Promise<void> {
    await this.#next?.window.catch(() => undefined);
  }

  get #windowSequences(): number {
    return this.#options.batchSize * this.#options.gradientAccumulationSteps;
  }

  #window(): Promise<readonly Batch[]> {
    if (this.#next?.position !== this.#numSequencesSeen) this.#prefetch(this.#numSequencesSeen);
    return this.#next!.window;
  }

  /** Reads a window while the engine works on the one before. */
  #prefetch(position: number): void {
    const { dataset, batchSize, gradientAccumulationSteps } = this.#options;
    const batches = Array.from({ length: gradientAccumulationSteps }, (_, i) =>
      dataset.trainBatch(position + i * batchSize, batchSize),
    );
    const window = Promise.all(batches);
    // A failure is told when the window is asked for.
    window.catch(() => undefined);
    this.#next = { position, window };
  }
}
