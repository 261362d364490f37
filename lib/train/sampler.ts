import type { Tokenizer } from '../data/index.js';
import type { Model } from '../graph/index.js';
import { checkOptions } from '../options.js';
import type { Engine } from '../runtime/index.js';
import { loadStoredModel, readStoredModel } from './stored-model.js';
import { Resources } from './resources.js';
import { sampleText } from './sample-text.js';
import { samplerTable } from './trainer-table.js';
import type { SampleOptions, SampleReport, TrainerOptions } from './types.js';

/** Options of `Sampler.open`. */
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

  /**
   * Reads a checkpoint's weights into an engine of their own.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_TOKENIZER,
   *   ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT
   */
  static async open(given: SamplerOptions): Promise<Sampler> {
    const { checkpoint: folder, ...options } = checkOptions(given, samplerTable, { what: 'Sampler.open' });
    const found = await readStoredModel(folder);
    const { path: checkpoint, step = 0, sequenceLength = found.model.maxSequenceLength } = found;
    const work = { entries: ['generate'], batchSize: 1, sequenceLength } as const;
    const resources = new Resources();
    try {
      const engine = await loadStoredModel(found, work, options, resources);
      return new Sampler({ ...found, checkpoint, step }, engine, sequenceLength, resources);
    } catch (error) {
      await resources[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Writes what may follow a prompt.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED
   */
  sample(options?: SampleOptions): Promise<SampleReport> {
    const { slidingWindow } = this.model;
    return sampleText(
      this.#engine,
      { tokenizer: this.tokenizer, sequenceLength: this.#sequenceLength, slidingWindow },
      options,
    );
  }

  /** Gives back the memory. Safe to call twice. */
  close(): Promise<void> {
    return this.#resources[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
