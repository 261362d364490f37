import type { Plan } from '../../compile/index.js';
import type { Engine } from '../../runtime/index.js';

/**
 * The token sequences of one batch behind the entries `prefill` and `generate` of a plan. What a run reads stays in the
 * key/value cache of the engine, so that the next one reads new tokens alone; any other entry makes it forget.
 */
export class CachedSequences {
  readonly batchSize: number;
  readonly #engine: Pick<Engine, 'run'>;
  readonly #contextLength: number;
  /** Tokens of each sequence that one run of `prefill` reads. */
  readonly #promptTokens: number;

  /** @param contextLength tokens that the cache holds of each sequence: the plan's `sequenceLength` */
  constructor(engine: Pick<Engine, 'run'>, plan: Pick<Plan, 'entries' | 'values'>, contextLength: number) {
    const numTokens = (entry: string): number => plan.values[plan.entries[entry]!.inputs[0]!]!.shape[0]!;
    this.batchSize = numTokens('generate');
    this.#engine = engine;
    this.#contextLength = contextLength;
    this.#promptTokens = numTokens('prefill') / this.batchSize;
  }

  /**
   * Reads all but the last token of each sequence.
   * @throws ERR_COMPACT_ABORTED
   */
  async prefill(sequences: readonly (readonly number[])[], signal?: AbortSignal): Promise<void> {
    const length = this.#promptTokens;
    const longest = Math.max(...sequences.map((ids) => ids.length - 1));
    for (let done = 0; done < longest; done += length) {
      // A last part that is short begins earlier: what is read twice stays as it is. Behind the end of a sequence
      // anything may stand in the cache, for what comes there is written before it is looked at.
      const first = Math.min(done, this.#contextLength - length);
      await this.#run('prefill', sequences, length, () => first, signal);
    }
  }

  /**
   * The logits (vocabulary) of what follows each sequence, whose tokens but the last were read.
   * @throws ERR_COMPACT_ABORTED
   */
  async next(sequences: readonly (readonly number[])[], signal?: AbortSignal): Promise<Float32Array[]> {
    const lastOf = (ids: readonly number[]): number => Math.max(0, ids.length - 1);
    const { outputs } = await this.#run('generate', sequences, 1, lastOf, signal);
    const logits = outputs['logits'] as Float32Array; // (sequences, vocabulary)
    const width = logits.length / this.batchSize;
    return sequences.map((_, index) => logits.subarray(index * width, (index + 1) * width));
  }

  /** Reads `length` tokens of each sequence from `firstOf` it on. */
  #run(
    entry: string,
    sequences: readonly (readonly number[])[],
    length: number,
    firstOf: (ids: readonly number[]) => number,
    signal: AbortSignal | undefined,
  ): ReturnType<Engine['run']> {
    const tokens = new Int32Array(this.batchSize * length);
    const positions = new Int32Array(this.batchSize * length);
    for (let index = 0; index < this.batchSize; index++) {
      const ids = sequences[index] ?? [];
      const first = firstOf(ids);
      for (let i = 0; i < length; i++) {
        tokens[index * length + i] = ids[first + i] ?? 0;
        positions[index * length + i] = first + i;
      }
    }
    return this.#engine.run(entry, { inputs: { tokens, positions }, signal });
  }
}
