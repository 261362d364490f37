import { existsSync } from 'node:fs';
import { compile, type CompileOptions, type Plan } from '../../compile/index.js';
import type { Tokenizer } from '../../data/index.js';
import { encodeRecords, tokenizerFiles } from '../../data/records/index.js';
import { compactError } from '../../errors.js';
import { makeFolders, onPath } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { StepClock } from '../../methods/index.js';
import { checkOptions, checkValue, numberAbove, path, wholeNumber, type Checked } from '../../options.js';
import { deviceTarget, Engine, type Device } from '../../runtime/index.js';
import { vocabularyOf } from '../batch-fields.js';
import { checkpointPath } from '../checkpoints/checkpoint-folder.js';
import { checkResumable, openCheckpoint, saveCheckpoint } from '../checkpoints/checkpoint.js';
import { checkpointFormatVersion, type CheckpointState } from '../checkpoints/checkpoint-state.js';
import { checkFits, loadPlan } from '../fit.js';
import { checkSampleOptions } from '../generation/draw-token.js';
import { textEnds } from '../generation/text-ends.js';
import { checkGenerates, type TextModel } from '../generation/text-model.js';
import { Turns } from '../generation/turns.js';
import { writtenText } from '../generation/write-texts.js';
import { engineOptionsOf } from '../options/options.js';
import type { SampleOptions, SampleReport } from '../options/types.js';
import { Resources } from '../resources.js';
import { scaledRates, type LearningRates } from '../schedule/learning-rates.js';
import { stepEntry } from '../schedule/optimizer-step.js';
import { computedDType } from '../weights/base-model.js';
import { openStartingWeights } from '../weights/starting-weights.js';
import { readStoredModel } from '../weights/stored-model.js';
import { writeConstants } from '../weights/tensor-files.js';
import { batchesOf, checkExamples, countedTokens, type SessionExample } from './session-examples.js';
import { ratesTable, sessionTable, type SessionOptions, type SessionRates } from './session-options.js';

/** What a pass over examples found. */
export interface SessionLoss {
  /** Mean over the tokens that count, in nats. */
  readonly loss: number;
  readonly numTokens: number;
}

/** An update of the weights. */
export interface SessionStep {
  /** Updates done, this one among them. */
  readonly step: number;
  /** Global norm of the gradients before they were cut; only with `maxGradNorm`. */
  readonly gradNorm: number | undefined;
}

/** A state that was written. */
export interface SavedSession {
  /** `<folder>/checkpoint-<step>`. */
  readonly path: string;
  readonly step: number;
  readonly numBytes: number;
}

interface SessionParts {
  readonly settings: Checked<typeof sessionTable> & { readonly dtype: 'f32' | 'bf16' };
  readonly model: Model;
  readonly engine: Engine;
  readonly plan: Plan;
  readonly text: TextModel;
  readonly tokenizerPath: string;
  readonly baseModel: CheckpointState['baseModel'];
  readonly resources: Resources;
}

/**
 * A model that is trained by the loop of its caller, verb by verb: what a `Trainer` does with files of data, for those who
 * make examples as they go. Calls are done one after the other in the order in which they are made, on the engine's thread,
 * so several may be made without waiting; the event loop stays free.
 *
 * @example
 * await using session = await TrainingSession.open({ model: 'downloads/my-llama', method: lora(), sequenceLength: 512 });
 * const examples = await session.encode([{ prompt: '2 + 2 =', completion: ' 4' }]);
 * const { loss } = await session.forwardBackward(examples);
 * await session.optimStep({ learningRate: 2e-4 });
 * const { text } = await session.sample({ prompt: '2 + 2 =', maxNewTokens: 4 });
 */
export class TrainingSession implements AsyncDisposable {
  readonly #parts: SessionParts;
  readonly #turns = new Turns();
  #clock: StepClock;
  /** Whether gradients stand in the engine that no update has taken. */
  #hasGradients = false;
  #numSequencesSeen = 0;
  #numTokensSeen = 0;
  #latestRate = 0;
  #closing: Promise<void> | undefined;

  private constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#clock = new StepClock(parts.settings.method);
  }

  /**
   * Reads a model into an engine of its own, whose memory holds all that training takes.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_ARGUMENT, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_MODEL_*,
   *   ERR_COMPACT_TOKENIZER, ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT
   */
  static async open(given: SessionOptions): Promise<TrainingSession> {
    const checked = checkOptions(given, sessionTable, { what: 'TrainingSession.open' });
    const { model: source, adapter, sequenceLength, method } = checked;
    const found = await readStoredModel(source);
    const { model, tokenizer, tokenizerPath } = found;
    checkGenerates(model);
    checkValue(sequenceLength, wholeNumber(1, model.maxSequenceLength), 'sequenceLength');
    await using starting = await openStartingWeights({ baseModel: found.path, adapter, model, method });
    const base = starting.base!;
    const settings = { ...checked, dtype: checked.dtype ?? computedDType(base) };
    const ends = await textEnds(found);
    const resources = new Resources();
    try {
      const engine = resources.use(await Engine.open(engineOptionsOf(settings)));
      const options = compileOptionsOf(settings, model, engine, base.newParameters);
      const plan = compile(options);
      checkFits(plan, options, engine.memoryLimitBytes);
      await loadPlan(engine, plan, options);
      await writeConstants(engine, plan, model, sequenceLength);
      await starting.writeInto(engine, plan);
      const text = { engine, plan, tokenizer, contextLength: sequenceLength, ...ends };
      const baseModel = { path: base.path, dtype: base.dtype, ...(adapter !== undefined && { adapter }) };
      return new TrainingSession({
        ...{ settings, model, engine, plan, text, tokenizerPath, baseModel, resources },
      });
    } catch (error) {
      await resources[Symbol.asyncDispose]();
      throw error;
    }
  }

  get model(): Model {
    return this.#parts.model;
  }

  get tokenizer(): Tokenizer {
    return this.#parts.text.tokenizer;
  }

  /** What runs, and what it allocates. */
  get plan(): Plan {
    return this.#parts.plan;
  }

  get device(): Device {
    return this.#parts.engine.device;
  }

  /** Updates done, those before a state that was loaded among them. */
  get step(): number {
    return this.#clock.completedSteps;
  }

  /**
   * Examples of records as files of them hold: conversations (`messages`), prompts with completions, or texts. Of a
   * conversation the assistant's turns count, of a completion what follows the prompt.
   * @throws ERR_COMPACT_DATA_RECORD, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE
   */
  async encode(records: readonly Readonly<Record<string, unknown>>[]): Promise<SessionExample[]> {
    const { settings, tokenizerPath } = this.#parts;
    const encoded = await encodeRecords(records, {
      ...{ tokenizer: tokenizerPath, textField: 'text', splitSpecialTokens: true, addEos: true },
      ...{ contextLength: settings.sequenceLength, truncate: false },
    });
    return encoded.map(({ ids, counts }) => ({ tokens: ids, weights: counts }));
  }

  /**
   * Adds the gradient of the mean loss of some examples, times `scale`, to those that wait for `optimStep`.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_ARGUMENT, before anything is computed; ERR_COMPACT_NOT_FINITE: the gradients that
   *   waited are gone, the weights are as they were; ERR_COMPACT_DISPOSED
   */
  async forwardBackward(
    examples: readonly SessionExample[],
    { scale = 1 }: { readonly scale?: number } = {},
  ): Promise<SessionLoss> {
    checkValue(scale, numberAbove(0), 'scale', 'ERR_COMPACT_ARGUMENT');
    return await this.#pass('accumulate', examples, scale);
  }

  /** The mean loss of some examples, and nothing else. @throws as `forwardBackward` */
  async forward(examples: readonly SessionExample[]): Promise<SessionLoss> {
    return await this.#pass('evaluate', examples, 1);
  }

  /**
   * Updates the weights by the gradients that wait, and has the method do what it does between steps.
   * @throws ERR_COMPACT_CONFIG_*, ERR_COMPACT_ARGUMENT where no gradients wait, ERR_COMPACT_DISPOSED
   */
  async optimStep(given: SessionRates): Promise<SessionStep> {
    const { learningRate, ...roles } = checkOptions(given, ratesTable, { what: 'optimStep' });
    const rates: LearningRates = {
      learningRate,
      embeddingLearningRate: roles.embeddingLearningRate ?? learningRate,
      headLearningRate: roles.headLearningRate ?? learningRate,
      normLearningRate: roles.normLearningRate ?? learningRate,
    };
    return await this.#exclusive(async () => {
      const { engine, plan } = this.#parts;
      if (!this.#hasGradients)
        throw compactError('ERR_COMPACT_ARGUMENT', 'no gradients wait for an update', {
          op: 'optimStep',
          remedy: 'Call forwardBackward first',
        });
      const clock = this.#clock;
      const scalars = { ...clock.scalars, ...scaledRates(rates, clock.learningRateFactor) };
      const { outputs } = await engine.run(stepEntry(plan, 'update', clock.variant), { scalars });
      this.#hasGradients = false;
      this.#latestRate = learningRate;
      for (const entry of clock.completeStep()?.entries ?? [])
        if (plan.entries[entry] !== undefined) await engine.run(entry, { scalars: clock.scalars });
      return { step: this.step, gradNorm: outputs['gradNorm']?.[0] };
    });
  }

  /**
   * Text from the model as it is now; its context is `sequenceLength`.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_CHAT_TEMPLATE,
   *   ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED
   */
  async sample(options?: SampleOptions): Promise<SampleReport> {
    const checked = checkSampleOptions(options);
    return await this.#exclusive(() => writtenText(this.#parts.text, checked));
  }

  /**
   * Writes weights, moments and counters as `checkpoint-<step>` in a folder, which `loadState`, `Sampler`, `exportModel` and
   * the command line open.
   * @throws ERR_COMPACT_ARGUMENT while gradients wait, which no file holds, or where the folder has such a checkpoint; ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_NOT_FINITE,
   *   ERR_COMPACT_DISPOSED
   */
  async saveState(folder: string): Promise<SavedSession> {
    checkValue(folder, path, 'folder', 'ERR_COMPACT_ARGUMENT');
    return await this.#exclusive(async () => {
      if (this.#hasGradients)
        throw compactError('ERR_COMPACT_ARGUMENT', 'gradients wait for an update, and no file holds them', {
          op: 'saveState',
          remedy: 'Call optimStep first',
        });
      const target = checkpointPath(folder, this.step);
      if (existsSync(target))
        throw compactError('ERR_COMPACT_ARGUMENT', `${target} is there already`, {
          op: 'saveState',
          remedy: 'Name another folder: no state is written over another',
        });
      await onPath('ERR_COMPACT_CHECKPOINT_WRITE', folder, () => makeFolders(folder));
      const { engine, plan, model, text, tokenizerPath } = this.#parts;
      const { tokenizer } = text;
      const files = { tokenizer, tokenizerFiles: await tokenizerFiles(tokenizerPath, undefined) };
      const saved = await saveCheckpoint(folder, engine, { plan, model }, files, this.#state());
      return { ...saved, step: this.step };
    });
  }

  /**
   * Goes on from a state that a session of the same model and method has written, exactly.
   * @throws ERR_COMPACT_CHECKPOINT_*; when one of its tensors cannot be read the weights are of no use, and the session with them
   */
  async loadState(checkpoint: string): Promise<void> {
    checkValue(checkpoint, path, 'checkpoint', 'ERR_COMPACT_ARGUMENT');
    return await this.#exclusive(async () => {
      const { engine, plan, model, settings } = this.#parts;
      await using found = await openCheckpoint(checkpoint, { plan, model });
      const { state } = found;
      // Examples come from the caller, so no text has to be the same.
      checkResumable(checkpoint, state, { ...settings, preference: undefined }, state.data.fingerprint);
      const clock = new StepClock(settings.method);
      clock.restore(state.step, state.clocks);
      await found.loadInto(engine);
      this.#clock = clock;
      this.#numSequencesSeen = state.numSequencesSeen;
      this.#numTokensSeen = state.numTokensSeen;
      this.#hasGradients = false;
    });
  }

  /** Waits for calls that were made, then gives back memory. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#turns.take().then(() => this.#parts.resources[Symbol.asyncDispose]());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #pass(
    entry: 'accumulate' | 'evaluate',
    given: readonly SessionExample[],
    scale: number,
  ): Promise<SessionLoss> {
    const { settings, model, engine, plan, text } = this.#parts;
    const { batchSize, sequenceLength } = settings;
    const examples = checkExamples(given, sequenceLength, vocabularyOf(model));
    const numTokens = countedTokens(examples);
    if (numTokens === 0)
      throw compactError('ERR_COMPACT_ARGUMENT', 'no token of the examples counts', {
        op: 'examples',
        expected: 'a weight of 1 behind the first token of at least one of them',
      });
    return await this.#exclusive(async () => {
      const name = entry === 'accumulate' ? stepEntry(plan, entry, this.#clock.variant) : entry;
      const lossScale = scale / numTokens;
      let sum = 0;
      for (const { inputs } of batchesOf(examples, batchSize, sequenceLength, text.tokenizer)) {
        const accumulate = this.#hasGradients ? 1 : 0;
        const scalars = { ...this.#clock.scalars, lossScale, accumulate };
        const { outputs } = await engine.run(name, { inputs, scalars });
        sum += outputs['loss']![0]!;
        if (entry === 'accumulate') this.#hasGradients = true;
      }
      const loss = sum / scale;
      if (!Number.isFinite(loss)) {
        if (entry === 'accumulate') this.#hasGradients = false;
        throw compactError('ERR_COMPACT_NOT_FINITE', `the loss after step ${this.step} is ${loss}`, {
          op: 'loss',
          remedy: 'Load an earlier state, and use a lower learning rate',
        });
      }
      if (entry === 'accumulate') {
        this.#numSequencesSeen += examples.length;
        this.#numTokensSeen += numTokens;
      }
      return { loss, numTokens };
    });
  }

  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined)
      throw compactError('ERR_COMPACT_DISPOSED', 'the session is closed', { op: 'TrainingSession' });
    using _ = await this.#turns.take();
    return await work();
  }

  #state(): CheckpointState {
    const { settings, model, text, baseModel } = this.#parts;
    const { batchSize, sequenceLength, dtype, seed, maxGradNorm, method } = settings;
    return {
      formatVersion: checkpointFormatVersion,
      step: this.step,
      numSequencesSeen: this.#numSequencesSeen,
      numTokensSeen: this.#numTokensSeen,
      clocks: this.#clock.states(),
      model: model.describe(),
      method: method.describe(),
      training: {
        ...{ batchSize, sequenceLength, dtype, seed, maxGradNorm },
        ...{ gradientAccumulationSteps: 1, maxSteps: Math.max(1, this.step), learningRate: this.#latestRate },
        lrSchedulerType: 'constant',
      },
      baseModel,
      data: { fingerprint: 'session', tokenizer: text.tokenizer.name },
    };
  }
}

function compileOptionsOf(
  settings: SessionParts['settings'],
  model: Model,
  engine: Engine,
  newParameters: readonly string[],
): CompileOptions {
  const { method, batchSize, sequenceLength, dtype, gradientDtype, recompute, seed } = settings;
  const { maxGradNorm, lossChunkTokens } = settings;
  const target = deviceTarget(engine.device.kind, { threads: engine.threads });
  const loadedParameters = model.weights
    .map(({ parameter }) => parameter)
    .filter((parameter) => !newParameters.includes(parameter));
  return {
    ...{ model, method, batchSize, sequenceLength, dtype, gradientDtype, recompute, seed },
    ...{ maxGradNorm, lossChunkTokens, target, loadedParameters, accumulateGradients: true },
  };
}
