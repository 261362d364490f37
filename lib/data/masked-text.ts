import { compactError } from '../errors.js';
import type { BatchField } from '../graph/index.js';
import type { DatasetOptions } from './dataset.js';
import { permutation } from '../graph/permutation.js';
import type { RunData } from './run-data.js';
import { ignoreIndex, type Batch, type Tokenizer } from './types.js';

/** Names of the arrays of its batches; models with one type of tokens read no types. */
export const maskedFields: readonly string[] = ['tokens', 'attentionMask', 'tokenTypes', 'targets'];

/** Whether a model predicts hidden tokens of a sequence that it sees whole. */
export const readsMaskedText = (batchFields: readonly BatchField[]): boolean =>
  ['attentionMask', 'targets'].every((name) => batchFields.some((field) => field.name === name));

/** Share of the tokens of a sequence that are to be predicted; of these, shares that are hidden and replaced. */
const shares = { predicted: 0.15, hidden: 0.8, replaced: 0.1 } as const;

/** @throws ERR_COMPACT_TOKENIZER for a tokenizer without a token that stands for hidden ones */
export function checkMaskToken({ name, maskTokenId }: Tokenizer): void {
  if (maskTokenId !== undefined) return;
  throw compactError('ERR_COMPACT_TOKENIZER', `the tokenizer ${name} names no mask token`, {
    op: 'tokenizer',
    expected: 'mask_token in tokenizer_config.json, for a model of hidden tokens',
    remedy: 'Name it there',
  });
}

/**
 * Running text for a model of hidden tokens (Devlin et al. 2019). Of every sequence 15 % of the tokens are to be predicted,
 * chosen anew each time that it is read, as a function of the seed and of the sequences before it: 8 of 10 are hidden behind
 * the mask token, 1 is replaced by any token, 1 stays.
 */
export class MaskedText implements RunData {
  readonly #text: RunData;
  readonly #options: Pick<DatasetOptions, 'sequenceLength' | 'seed'>;
  readonly #batchFields: readonly BatchField[];
  /** Tokens of a sequence that are to be predicted. */
  readonly #numPredicted: number;

  constructor(
    text: RunData,
    options: Pick<DatasetOptions, 'sequenceLength' | 'seed'>,
    batchFields: readonly BatchField[],
  ) {
    this.#text = text;
    this.#options = options;
    this.#batchFields = batchFields;
    this.#numPredicted = Math.max(1, Math.round(shares.predicted * options.sequenceLength));
  }

  get tokenizer(): Tokenizer {
    return this.#text.tokenizer;
  }
  get tokenizerFiles(): RunData['tokenizerFiles'] {
    return this.#text.tokenizerFiles;
  }
  get numTokens(): number {
    return this.#text.numTokens;
  }
  get numTrainSequences(): number {
    return this.#text.numTrainSequences;
  }
  get numValidationSequences(): number {
    return this.#text.numValidationSequences;
  }
  get warnings(): readonly string[] {
    return this.#text.warnings;
  }
  get fingerprint(): string {
    return `masked ${this.#text.fingerprint}`;
  }

  numCountedTokens(_numConsumed: number, count: number): number {
    return count * this.#numPredicted;
  }

  async trainBatch(numConsumed: number, count: number): Promise<Batch> {
    return this.#masked(await this.#text.trainBatch(numConsumed, count), numConsumed, this.#options.seed);
  }

  async validationBatch(first: number, count: number, limit?: number): Promise<Batch> {
    // The same tokens are hidden for every seed.
    return this.#masked(await this.#text.validationBatch(first, count, limit), first, 0);
  }

  close(): Promise<void> {
    return this.#text.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #masked({ inputs }: Batch, first: number, seed: number): Batch {
    const { sequenceLength } = this.#options;
    const tokens = Int32Array.from(inputs['tokens']!);
    const targets = new Int32Array(tokens.length).fill(ignoreIndex);
    let numCountedTokens = 0;
    for (let start = 0; start < tokens.length; start += sequenceLength) {
      if (inputs['targets']![start] === ignoreIndex) continue; // beyond the last sequence
      this.#hide(tokens, targets, start, { seed, position: first + start / sequenceLength });
      numCountedTokens += this.#numPredicted;
    }
    const all = {
      tokens,
      attentionMask: new Uint8Array(tokens.length).fill(1),
      tokenTypes: new Int32Array(tokens.length),
      targets,
    };
    const read = Object.entries(all).filter(([name]) =>
      this.#batchFields.some((field) => field.name === name),
    );
    return { inputs: Object.fromEntries(read), numCountedTokens };
  }

  #hide(
    tokens: Int32Array,
    targets: Int32Array,
    start: number,
    { seed, position }: { readonly seed: number; readonly position: number },
  ): void {
    const { vocabularySize, maskTokenId } = this.tokenizer;
    const chosen = permutation(this.#options.sequenceLength, seed, position);
    const anyToken = permutation(vocabularySize, seed, position);
    const numHidden = Math.round(shares.hidden * this.#numPredicted);
    const numReplaced = Math.round(shares.replaced * this.#numPredicted);
    for (let i = 0; i < this.#numPredicted; i++) {
      const at = start + chosen(i);
      targets[at] = tokens[at]!;
      if (i < numHidden) tokens[at] = maskTokenId!;
      else if (i < numHidden + numReplaced) tokens[at] = anyToken(i);
    }
  }
}
