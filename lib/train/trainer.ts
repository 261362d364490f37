import type { Plan } from '../compile/index.js';
import type { RunData } from '../data/index.js';
import { compactError } from '../errors.js';
import type { Device, EntryGraphs } from '../runtime/index.js';
import { Announcer } from './logs/announcer.js';
import { listCheckpoints, pruneCheckpoints } from './checkpoints/checkpoint-folder.js';
import { checkpointFormatVersion } from './checkpoints/checkpoint-state.js';
import type { CheckpointState } from './checkpoints/checkpoint-state.js';
import { openCheckpoint, saveCheckpoint } from './checkpoints/checkpoint.js';
import { isBetter, valueOf } from './evaluation/best-metric.js';
import { EarlyStopping } from './evaluation/early-stopping.js';
import { evaluateLoss } from './evaluation/evaluate.js';
import { checkSampleOptions } from './generation/draw-token.js';
import { checkGenerates, plainText } from './generation/text-model.js';
import { writtenText } from './generation/write-texts.js';
import type { Metrics } from './logs/metrics-log.js';
import { explainNotFinite, findNotFinite, refusedTensor } from './not-finite.js';
import type { NotFinite } from './not-finite.js';
import { describeSettings } from './options/options.js';
import { startTrainer } from './start.js';
import type { TrainerParts } from './start.js';
import { trainedParts } from './trained-parts.js';
import type { TrainedPart } from './trained-parts.js';
import type {
  CheckpointInfo,
  EvaluateReport,
  MemoryUse,
  SampleOptions,
  SampleReport,
  StepReport,
  TrainerOptions,
  TrainResult,
} from './options/types.js';

/**
 * A training run. Iterating it does the steps, one for each report, and nothing in between: what the body of the loop
 * evaluates, samples or saves is the model right after that step. Leaving the loop ends after the step; iterating again
 * goes on. Listeners of events are called as things happen and never waited for: `run()` with listeners keeps the
 * machine busy whatever they do. An error that a listener throws is none of the run's: reports and checkpoints are as
 * without it, and when the work under way is done it becomes an uncaught exception of the process.
 *
 * What goes wrong in work that a run does not depend on (removing an old checkpoint, a line of metrics.jsonl, giving
 * things back at the end) is a `warning` event, or a warning of the process where nobody listens.
 *
 * @example
 * await using trainer = await Trainer.create({ model, method, data: { train: 'addresses' }, batchSize: 8, sequenceLength: 256, maxSteps: 100, learningRate: 1e-3 });
 * for await (const { step, loss } of trainer) console.log(step, loss);
 */
export class Trainer extends Announcer implements AsyncDisposable {
  readonly #parts: TrainerParts;
  readonly #earlyStopping: EarlyStopping;
  #best: CheckpointState['best'];
  #bestModel: TrainResult['bestModel'];
  #evaluation: EvaluateReport | undefined;
  #checkpoint: CheckpointInfo | undefined;
  #lastLoss: number | undefined;
  /** Counted, so that a request ends every iteration that was under way, and none that begins after those. */
  #numStopRequests = 0;
  #numStopsDone = 0;
  #isBroken = false;
  #closing: Promise<void> | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #trainedMs = 0;
  #trainedTokens = 0;

  private constructor(parts: TrainerParts) {
    super();
    this.#parts = parts;
    const { earlyStoppingPatience, metricForBestModel } = parts.settings;
    const { patience, best } = parts.resumed?.state ?? {};
    this.#earlyStopping = new EarlyStopping(earlyStoppingPatience, metricForBestModel, patience);
    // What was the best by another metric says nothing of this one.
    this.#best = best?.metric === metricForBestModel ? best : undefined;
    this.#checkpoint = parts.present;
  }

  /**
   * Checks everything that can be checked, compiles the plan, and only then allocates and writes.
   *
   * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK, ERR_COMPACT_TOKENIZER, ERR_COMPACT_DATA_*,
   * ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_OUTPUT_LOCKED
   */
  static async create(options: TrainerOptions): Promise<Trainer> {
    return new Trainer(await startTrainer(options));
  }

  /** Optimizer steps done, those before a resume included. */
  get step(): number {
    return this.#parts.state.step;
  }

  /** What the run executes, and what it allocates. */
  get plan(): Plan {
    return this.#parts.plan;
  }

  /** Where the run computes, and why, if 'auto' chose. */
  get device(): Device {
    return this.#parts.engine.device;
  }

  /** What the run reads. */
  get data(): Pick<
    RunData,
    'numTokens' | 'numTrainSequences' | 'numValidationSequences' | 'tokenizer' | 'warnings' | 'statistics'
  > {
    const { numTokens, numTrainSequences, numValidationSequences, tokenizer, statistics } =
      this.#parts.dataset;
    const { warnings } = this.#parts;
    return { numTokens, numTrainSequences, numValidationSequences, tokenizer, statistics, warnings };
  }

  /** What the run trains, by the role of the parameters, and what of it the method compresses. */
  get parts(): readonly TrainedPart[] {
    return trainedParts(this.#parts.settings);
  }

  /** The checkpoint that the run went on from. */
  get resumedFrom(): string | undefined {
    return this.#parts.resumed?.path;
  }

  /** How the entries of the plan run on a GPU; empty for the CPU. */
  graphs(): EntryGraphs[] {
    return this.#parts.engine.graphs();
  }

  /** Bytes that the run takes now. */
  memory(): MemoryUse {
    const { plan, engine } = this.#parts;
    const { allocatedBytes, overheadBytes } = engine.memory();
    return {
      plannedBytes: plan.peakBytes,
      allocatedBytes,
      overheadBytes,
      processBytes: process.memoryUsage.rss(),
    };
  }

  /**
   * Iterations at the same time share the steps: each is done once.
   * @throws ERR_COMPACT_NOT_FINITE, ERR_COMPACT_ABORTED, ERR_COMPACT_DATA_READ, ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_DISPOSED
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<StepReport, TrainResult> {
    const start = performance.now();
    const numStopsDone = this.#numStopsDone;
    const isOver = (): boolean =>
      this.#numStopRequests > numStopsDone || this.#isComplete || this.#earlyStopping.isDue;
    try {
      for (;;) {
        const report = await this.#exclusive(async () => (isOver() ? undefined : this.#oneStep()));
        if (report === undefined) break;
        yield report;
      }
      return await this.#exclusive(() => this.#finish(start));
    } finally {
      this.#numStopsDone = this.#numStopRequests;
    }
  }

  /**
   * Does all the steps that are left; progress is told by events.
   * @throws what an iteration throws
   */
  async run(): Promise<TrainResult> {
    const steps = this[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await steps.next();
      if (done === true) return value;
    }
  }

  /**
   * Ends the iteration after the step that is under way, with a checkpoint where there is an output folder; before an
   * iteration, ends the next one at once. Iterating again goes on.
   */
  requestStop(): void {
    this.#numStopRequests++;
  }

  /**
   * Loss and perplexity of the held-out data.
   * @throws ERR_COMPACT_DATA_EMPTY where none is held out, ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED
   */
  evaluate(): Promise<EvaluateReport> {
    return this.#exclusive(() => this.#evaluate());
  }

  /**
   * Text from the model as it is now; its context is `sequenceLength`.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED
   */
  sample(options?: SampleOptions): Promise<SampleReport> {
    const { engine, plan, dataset, settings } = this.#parts;
    const { tokenizer } = dataset;
    const model = {
      engine,
      plan,
      tokenizer,
      contextLength: settings.sequenceLength,
      ...plainText(tokenizer),
    };
    return this.#exclusive(async () => {
      checkGenerates(settings.model);
      return await writtenText(model, checkSampleOptions(options));
    });
  }

  /**
   * Writes a checkpoint of this step; where it was written already, nothing happens.
   * @throws ERR_COMPACT_CONFIG_VALUE without an output folder, ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_NOT_FINITE
   */
  save(): Promise<CheckpointInfo> {
    return this.#exclusive(() => this.#save());
  }

  /**
   * Waits for what is under way, then gives back memory, files and the output folder. Safe to call twice. Never rejects,
   * so that it hides no error of the run: what cannot be given back is told as a warning.
   */
  close(): Promise<void> {
    this.#closing ??= this.#giveBack();
    return this.#closing;
  }

  async #giveBack(): Promise<void> {
    await this.#work;
    for (const problem of await this.#parts.resources.release()) this.warn(problem);
    this.rethrow();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Steps, evaluations, samples and saves happen one after the other, so each sees a whole state. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined)
      return Promise.reject(compactError('ERR_COMPACT_DISPOSED', 'the trainer is closed', { op: 'Trainer' }));
    const result = this.#work.then(work).finally(() => this.rethrow());
    this.#work = result.catch(() => undefined);
    return result;
  }

  async #oneStep(): Promise<StepReport> {
    const { settings, state, dataset } = this.#parts;
    const start = performance.now();
    this.#refuseWhenBroken();
    const result = await state.advance({ signal: settings.signal });
    await this.#refuseNotFinite(findNotFinite(result, state.step));
    const { step } = state;
    const isLast = step === settings.maxSteps;
    if (result.refresh !== undefined) this.tell('refresh', { step, ...result.refresh });
    const trainedMs = performance.now() - start;
    const { numSequencesSeen, numTokensSeen } = state.counters;
    this.#lastLoss = result.loss;
    this.#trainedMs += trainedMs;
    this.#trainedTokens += result.numTokens;
    const { metrics } = result;
    const progress = {
      step,
      epoch: numSequencesSeen / dataset.numTrainSequences,
      loss: result.loss,
      learningRate: result.learningRate,
      gradNorm: result.gradNorm,
      numTokensSeen,
      tokensPerSecond: perSecond(result.numTokens, trainedMs),
    };
    // Lines come before the checkpoint of their step, so that a run that is resumed from it has them.
    if (isDue(step, settings.loggingSteps, isLast || step === 1))
      await this.#log({ ...progress, ...metrics });
    const evaluation = isDue(step, settings.evalSteps, isLast) ? await this.#evaluate() : undefined;
    if (evaluation !== undefined) this.#earlyStopping.add(valueOf(evaluation, settings.metricForBestModel));
    const isToSave = isDue(step, settings.saveSteps, false) || (settings.loadBestModelAtEnd && this.#isBest);
    const checkpoint = isToSave ? await this.#save() : undefined;
    const report: StepReport = {
      ...progress,
      ...(metrics && { metrics }),
      maxSteps: settings.maxSteps,
      numTokens: result.numTokens,
      time: {
        dataMs: result.dataMs,
        computeMs: result.computeMs,
        updateMs: result.updateMs,
        refreshMs: result.refreshMs,
        evaluateMs: evaluation?.durationMs ?? 0,
        saveMs: checkpoint?.durationMs ?? 0,
        totalMs: performance.now() - start,
      },
      memory: this.memory(),
      evaluation,
      checkpoint,
    };
    this.tell('step', report);
    return report;
  }

  async #finish(start: number): Promise<TrainResult> {
    const { settings, state } = this.#parts;
    this.#refuseWhenBroken();
    if (settings.outputDirectory !== undefined && this.step > 0) await this.#save();
    const isEarly = !this.#isComplete && this.#earlyStopping.isDue;
    if (settings.loadBestModelAtEnd && (this.#isComplete || isEarly)) await this.#loadBest();
    const result: TrainResult = {
      reason: this.#isComplete ? 'completed' : isEarly ? 'earlyStopped' : 'stopped',
      step: this.step,
      loss: this.#lastLoss,
      evaluation: this.#evaluation,
      checkpoint: this.#checkpoint,
      bestModel: this.#bestModel,
      numTokensSeen: state.counters.numTokensSeen,
      tokensPerSecond: perSecond(this.#trainedTokens, this.#trainedMs),
      durationMs: performance.now() - start,
      memory: this.memory(),
    };
    this.tell('end', result);
    return result;
  }

  get #isComplete(): boolean {
    return this.step >= this.#parts.settings.maxSteps;
  }

  /** Whether this step was evaluated, and no checkpoint is as good. */
  get #isBest(): boolean {
    const { metricForBestModel: metric } = this.#parts.settings;
    const evaluation = this.#evaluation;
    if (evaluation?.step !== this.step) return false;
    return isBetter(metric, valueOf(evaluation, metric), this.#best?.value);
  }

  /** Weights of the best checkpoint take the place of those of the last step, which were saved. */
  async #loadBest(): Promise<void> {
    const { settings, engine, plan } = this.#parts;
    const best = this.#best;
    if (best === undefined || best.step === this.step || this.#bestModel !== undefined) return;
    const path = (await listCheckpoints(settings.outputDirectory!)).find(
      ({ step }) => step === best.step,
    )?.path;
    if (path === undefined) {
      // A run that went on in another folder has left it behind.
      const what = `the best checkpoint, of step ${best.step}, is not in ${settings.outputDirectory}`;
      this.warn(compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${what}: the weights are those of the last`));
      return;
    }
    await using checkpoint = await openCheckpoint(path, { plan, model: settings.model });
    await checkpoint.loadInto(engine, settings.signal);
    this.#bestModel = { path, ...best };
  }

  async #evaluate(): Promise<EvaluateReport> {
    const { engine, dataset, settings } = this.#parts;
    const { model, batchSize, evalSequences: limit, preference, signal } = settings;
    const { batchFields } = model;
    const step = this.#bestModel?.step ?? this.step;
    const report = await evaluateLoss(engine, dataset, {
      ...{ step, batchFields, batchSize, limit, preference, signal },
    });
    this.#evaluation = report;
    const metrics = Object.entries(report.metrics ?? {}).map(
      ([name, value]) => [`eval${name[0]!.toUpperCase()}${name.slice(1)}`, value] as const,
    );
    await this.#write({
      ...{ step: report.step, evalLoss: report.loss, evalPerplexity: report.perplexity },
      ...Object.fromEntries(metrics),
    });
    this.tell('evaluate', report);
    return report;
  }

  async #save(): Promise<CheckpointInfo> {
    this.#refuseWhenBroken();
    const { settings, engine, plan, dataset, state } = this.#parts;
    const { outputDirectory, model, method } = settings;
    if (outputDirectory === undefined)
      throw compactError('ERR_COMPACT_CONFIG_VALUE', 'there is no folder to save into', {
        op: 'outputDirectory',
      });
    if (this.#checkpoint?.step === this.step) return this.#checkpoint;
    this.#parts.lock?.check();
    const start = performance.now();
    for (const log of this.#parts.logs) await log.flush().catch((error: unknown) => this.warn(error));
    const isBest = this.#isBest;
    const metric = settings.metricForBestModel;
    const best = isBest ? { step: this.step, metric, value: valueOf(this.#evaluation!, metric) } : this.#best;
    const saved = await saveCheckpoint(outputDirectory, engine, { plan, model }, dataset, {
      formatVersion: checkpointFormatVersion,
      ...state.counters,
      model: model.describe(),
      method: method.describe(),
      training: describeSettings(settings),
      baseModel: this.#parts.baseModel,
      data: { fingerprint: dataset.fingerprint, tokenizer: dataset.tokenizer.name },
      best,
      patience: this.#earlyStopping.state,
    }).catch(async (error: unknown) => {
      await this.#refuseNotFinite(refusedTensor(error, this.step));
      throw error;
    });
    this.#best = best;
    await pruneCheckpoints(outputDirectory, settings.saveTotalLimit, best?.step).catch((error: unknown) =>
      this.warn(error),
    );
    this.#checkpoint = { ...saved, step: this.step, isBest, durationMs: performance.now() - start };
    this.tell('checkpoint', this.#checkpoint);
    return this.#checkpoint;
  }

  async #log(progress: Metrics): Promise<void> {
    const { allocatedBytes, processBytes } = this.memory();
    await this.#write({ ...progress, allocatedBytes, processBytes });
  }

  async #write(metrics: Metrics): Promise<void> {
    for (const log of this.#parts.logs) await log.write(metrics).catch((error: unknown) => this.warn(error));
  }

  #refuseWhenBroken(): void {
    if (!this.#isBroken) return;
    throw compactError('ERR_COMPACT_NOT_FINITE', 'the weights of this run are no longer numbers', {
      op: 'Trainer',
      remedy: 'Resume from the last good checkpoint',
    });
  }

  async #refuseNotFinite(found: NotFinite | undefined): Promise<void> {
    if (found === undefined) return;
    this.#isBroken = true;
    // Tensors are checked whenever a checkpoint is written or read, so this one is good.
    const lastCheckpoint = this.#checkpoint?.path ?? this.#parts.resumed?.path;
    throw await explainNotFinite(found, { ...this.#parts, lastCheckpoint });
  }
}

const isDue = (step: number, every: number, isAlso: boolean): boolean =>
  every > 0 && (step % every === 0 || isAlso);

const perSecond = (count: number, ms: number): number => (ms > 0 ? (1000 * count) / ms : 0);
