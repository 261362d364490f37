import { join } from 'node:path';
import { compile } from '../compile/index.js';
import { checkVocabulary, loadTokenizer } from '../data/index.js';
import type { Tokenizer } from '../data/index.js';
import { compactError } from '../errors.js';
import type { Model } from '../graph/index.js';
import { dense } from '../methods/index.js';
import { modelFromDescription } from '../models/index.js';
import { checkOptions } from '../options.js';
import { deviceTarget, Engine } from '../runtime/index.js';
import { listCheckpoints } from './checkpoint-folder.js';
import { readState } from './checkpoint-state.js';
import { checkFits, loadPlan } from './fit.js';
import { Resources } from './resources.js';
import { sampleText } from './sample-text.js';
import { loadTensors, openTensors, writeConstants } from './tensor-files.js';
import { samplerTable } from './trainer-table.js';
import type { SampleOptions, SampleReport, TrainerOptions } from './types.js';

export interface SamplerOptions extends Pick<
  TrainerOptions,
  'device' | 'threads' | 'instructionSet' | 'blas' | 'graphs' | 'memoryLimitBytes'
> {
  /** A checkpoint, or an output folder: its latest. */
  readonly checkpoint: string;
}

/**
 * Writes text from a checkpoint; needs its weights and the memory of one sequence, nothing of training.
 *
 * @example
 * await using sampler = await Sampler.open({ checkpoint: 'runs/demo/checkpoint-100' });
 * console.log((await sampler.sample({ prompt: 'The ' })).text);
 */
export class Sampler implements AsyncDisposable {
  /** The checkpoint that is used. */
  readonly checkpoint: string;
  readonly step: number;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly #engine: Engine;
  readonly #sequenceLength: number;
  readonly #resources: Resources;

  private constructor(
    found: Pick<Sampler, 'checkpoint' | 'step' | 'model' | 'tokenizer'>,
    engine: Engine,
    sequenceLength: number,
    resources: Resources,
  ) {
    this.checkpoint = found.checkpoint;
    this.step = found.step;
    this.model = found.model;
    this.tokenizer = found.tokenizer;
    this.#engine = engine;
    this.#sequenceLength = sequenceLength;
    this.#resources = resources;
  }

  /** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_TOKENIZER, ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT */
  static async open(given: SamplerOptions): Promise<Sampler> {
    const { checkpoint: folder, ...options } = checkOptions(given, samplerTable, { what: 'Sampler.open' });
    const checkpoint = (await listCheckpoints(folder)).at(-1)?.path ?? folder;
    const { step, model: description, training, data } = await readState(checkpoint);
    const model = describedModel(checkpoint, description);
    const tokenizer = await loadTokenizer(data.tokenizer === 'bytes' ? 'bytes' : checkpoint);
    checkVocabulary(tokenizer, model.vocabularySize);
    const { sequenceLength, dtype } = training;
    const resources = new Resources();
    try {
      const engine = resources.use(await Engine.open(options));
      const compileOptions = {
        model,
        sequenceLength,
        dtype,
        batchSize: 1,
        method: dense(),
        entries: ['generate' as const],
        target: deviceTarget(engine.device.kind, { threads: engine.threads }),
      };
      const plan = compile(compileOptions);
      checkFits(plan, compileOptions, engine.memoryLimitBytes);
      const fileName = 'model.safetensors';
      await using file = await openTensors(join(checkpoint, fileName), plan, model, fileName);
      await loadPlan(engine, plan, compileOptions);
      await writeConstants(engine, model, sequenceLength);
      await loadTensors(engine, plan, model, fileName, file);
      return new Sampler({ checkpoint, step, model, tokenizer }, engine, sequenceLength, resources);
    } catch (error) {
      await resources[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED */
  sample(options?: SampleOptions): Promise<SampleReport> {
    return sampleText(
      this.#engine,
      { tokenizer: this.tokenizer, sequenceLength: this.#sequenceLength },
      options,
    );
  }

  close(): Promise<void> {
    return this.#resources[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function describedModel(checkpoint: string, description: Readonly<Record<string, unknown>>): Model {
  try {
    return modelFromDescription(description);
  } catch (cause) {
    throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${checkpoint} describes a model that cannot be`, {
      received: (cause as Error).message,
      cause,
    });
  }
}
