import type { Plan } from '../../compile/index.js';
import type { Tokenizer } from '../../data/index.js';
import type { Model } from '../../graph/index.js';
import { checkOptions, checkValue, wholeNumber } from '../../options.js';
import { checkSampleBatch, checkSampleOptions } from './draw-token.js';
import { promptIds } from './prompt-ids.js';
import { textEnds } from './text-ends.js';
import { checkGenerates } from './text-model.js';
import type { TextModel } from './text-model.js';
import { Turns } from './turns.js';
import { writeText, writeTexts, writtenText } from './write-texts.js';
import { Resources } from '../resources.js';
import {
  defaultSequenceLength,
  loadStoredModel,
  readStoredModel,
  type StoredModel,
} from '../weights/stored-model.js';
import { samplerTable } from '../options/trainer-table.js';
import type { SampleBatchOptions, SampleOptions, SampleReport, TrainerOptions } from '../options/types.js';

/** Options of `Sampler.open`. */
export interface SamplerOptions extends Pick<
  TrainerOptions,
  'device' | 'threads' | 'instructionSet' | 'blas' | 'graphs' | 'memoryLimitBytes'
> {
  /** A checkpoint; an output folder: its latest; or a folder in Hugging Face's layout, such as a downloaded model. */
  readonly checkpoint: string;
  /** 'bytes', a tokenizer.json, or a folder that holds one. Default: that of the model. */
  readonly tokenizer?: string;
  /**
   * Tokens of prompt and text at most; the cache of keys and values is as large. Default: those of a sequence that a
   * checkpoint was trained on, of another model all that it can have, 2048 at most.
   */
  readonly contextLength?: number;
  /** Texts that are written at a time. Default 1. */
  readonly batchSize?: number;
}

/**
 * Writes text with a trained model; needs its weights, a cache of keys and values, and the memory of a few tokens.
 *
 * Texts are written one after the other, in the order in which they were asked for; a stream has to be read to its end, or
 * left (`break`), before the next one begins.
 *
 * @example
 * await using sampler = await Sampler.open({ checkpoint: 'runs/demo/checkpoint-100' });
 * for await (const piece of sampler.stream({ prompt: 'The ', stop: ['\n'] })) process.stdout.write(piece);
 */
export class Sampler implements AsyncDisposable {
  /** The folder that is used. */
  readonly checkpoint: string;
  /** Optimizer steps of the run that it is a checkpoint of; undefined for other models. */
  readonly step: number | undefined;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Tokens of prompt and text at most. */
  readonly contextLength: number;
  /** What is executed, and what it allocates. */
  readonly plan: Plan;
  readonly #text: TextModel;
  readonly #turns = new Turns();
  readonly #resources: Resources;

  private constructor(found: StoredModel, plan: Plan, text: TextModel, resources: Resources) {
    this.checkpoint = found.path;
    this.step = found.step;
    this.model = found.model;
    this.tokenizer = found.tokenizer;
    this.contextLength = text.contextLength;
    this.plan = plan;
    this.#text = text;
    this.#resources = resources;
  }

  /**
   * Reads the weights of a model into an engine of their own.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_MODEL_*, ERR_COMPACT_TOKENIZER,
   *   ERR_COMPACT_CHAT_TEMPLATE, ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT
   */
  static async open(given: SamplerOptions): Promise<Sampler> {
    const options = checkOptions(given, samplerTable, { what: 'Sampler.open' });
    const { checkpoint: folder, tokenizer, contextLength: wanted, batchSize, ...engineOptions } = options;
    const found = await readStoredModel(folder, tokenizer);
    checkGenerates(found.model);
    const longest = wholeNumber(1, found.model.maxSequenceLength);
    const contextLength = checkValue(wanted ?? defaultSequenceLength(found), longest, 'contextLength');
    const ends = await textEnds(found);
    const work = {
      entries: ['generate'],
      batchSize,
      generateBatchSize: batchSize,
      sequenceLength: contextLength,
    } as const;
    const resources = new Resources();
    try {
      const { engine, plan } = await loadStoredModel(found, work, engineOptions, resources);
      const text = { engine, plan, tokenizer: found.tokenizer, contextLength, ...ends };
      return new Sampler(found, plan, text, resources);
    } catch (error) {
      await resources[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Whether the model has a chat template, so that it can answer `messages`. */
  get hasChatTemplate(): boolean {
    return this.#text.chatTemplate !== undefined;
  }

  /**
   * Writes what may follow a prompt, or a conversation.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_CHAT_TEMPLATE,
   *   ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED
   */
  async sample(options?: SampleOptions): Promise<SampleReport> {
    const checked = checkSampleOptions(options);
    using _ = await this.#turns.take();
    return await writtenText(this.#text, checked);
  }

  /**
   * Writes what may follow each of some prompts, `batchSize` of them at a time, each as it would be written alone.
   * @throws as `sample`
   */
  async sampleBatch(prompts: readonly string[], options?: SampleBatchOptions): Promise<SampleReport[]> {
    const checked = checkSampleBatch(prompts, options);
    using _ = await this.#turns.take();
    const pieces = writeTexts(this.#text, checked);
    for (;;) {
      const { done, value } = await pieces.next();
      if (done === true) return value;
    }
  }

  /**
   * The same as `sample`, piece by piece as it is written: put together they are the text of the report, which is what the
   * iterator returns.
   * @throws as `sample`
   */
  stream(options?: SampleOptions): AsyncGenerator<string, SampleReport> {
    return this.#stream(checkSampleOptions(options));
  }

  async *#stream(options: ReturnType<typeof checkSampleOptions>): AsyncGenerator<string, SampleReport> {
    using _ = await this.#turns.take();
    return yield* writeText(this.#text, options);
  }

  /**
   * Tokens of a prompt, or of a conversation up to where its next answer begins; they may be more than the context has.
   * @throws as `sample`
   */
  countPromptTokens(options: Pick<SampleOptions, 'prompt' | 'messages' | 'splitSpecialTokens'>): number {
    return promptIds(this.#text, checkSampleOptions(options)).length;
  }

  /** Gives back the memory. Safe to call twice. */
  close(): Promise<void> {
    return this.#resources[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
