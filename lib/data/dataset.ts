import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { compactError } from '../errors.js';
import { checkOptions, flag, optional, seedNumber, wholeNumber, type OptionTable } from '../options.js';
import { dataTable } from './data-table.js';
import { makeTemporaryFolder } from '../formats/index.js';
import { permutation } from '../graph/permutation.js';
import type { RunData } from './run-data.js';
import { findSources, listPaths } from './sources.js';
import type { Sources } from './sources.js';
import { TokenFile } from './token-file.js';
import type { TokenChoices, TokenizeControl } from './tokenize.js';
import { checkVocabulary, loadTokenizer } from './tokenizer.js';
import { ignoreIndex } from './types.js';
import type { Batch, DataOptions, Tokenizer } from './types.js';

/** What a run asks of its text. */
export interface DatasetOptions {
  /** Tokens of one sequence. */
  readonly sequenceLength: number;
  /** Ids of the model; the tokenizer may have fewer. */
  readonly vocabularySize: number;
  /** Of the order of the training sequences. */
  readonly seed: number;
  /** Training sequences that one step consumes; told when the corpus has fewer. */
  readonly sequencesPerStep?: number;
  /** Whether held-out text is needed, so that a corpus without any is refused. Default false. */
  readonly needsValidation?: boolean;
  /** Whether the whole text is held out, and nothing of it trains. Default false. */
  readonly isHeldOut?: boolean;
}

const datasetTable = {
  sequenceLength: wholeNumber(1),
  vocabularySize: wholeNumber(1),
  seed: seedNumber,
  sequencesPerStep: optional(wholeNumber(1)),
  needsValidation: optional(flag),
  isHeldOut: optional(flag),
} satisfies OptionTable<DatasetOptions>;

/** A run of consecutive sequences of a token file. Sequence i predicts tokens i * length + 1 to (i + 1) * length. */
interface Span {
  readonly file: TokenFile;
  readonly first: number;
  readonly count: number;
}

/** Packed sequences of a tokenised corpus. */
export class Dataset implements RunData {
  /** Names of the arrays of its batches. */
  static readonly fields: readonly string[] = ['tokens', 'targets'];
  readonly tokenizer: Tokenizer;
  readonly numTokens: number;
  /** On text left out, unknown, or not separated. */
  readonly warnings: readonly string[];
  readonly #options: DatasetOptions;
  readonly #train: Span;
  readonly #validation: Span | undefined;
  readonly #temporaryFolder: string | undefined;
  readonly #orders = new Map<number, (index: number) => number>();

  private constructor(
    prepared: PreparedDataset,
    spans: { train: Span; validation: Span | undefined },
    temporaryFolder: string | undefined,
  ) {
    this.tokenizer = prepared.tokenizer;
    this.warnings = warningsOf(prepared, spans);
    this.#options = prepared.options;
    this.#train = spans.train;
    this.#validation = spans.validation;
    this.#temporaryFolder = temporaryFolder;
    this.numTokens = spans.train.file.numTokens;
  }

  /** Finds the files and loads the tokenizer: everything that can be refused before any work. */
  static async prepare(givenData: DataOptions, given: DatasetOptions): Promise<PreparedDataset> {
    const data = checkOptions(givenData, dataTable, { what: 'data', prefix: 'data.' });
    const options = checkOptions(given, datasetTable, { what: 'Dataset.prepare' });
    const tokenizer = await loadTokenizer(data.tokenizer);
    checkVocabulary(tokenizer, options.vocabularySize);
    const [train, validation] = await Promise.all([
      findSources(data.train),
      data.validation === undefined ? undefined : findSources(data.validation),
    ]);
    return { tokenizer, train, validation, data, options };
  }

  /**
   * Tokenises, or finds what was tokenised before.
   * @param cacheDirectory of the tokenised text; absent: a temporary folder, removed by `close`
   * @param control progress counts the bytes of training and held-out files together
   * @throws ERR_COMPACT_DATA_TOO_SHORT, ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT, ERR_COMPACT_DATA_READ,
   *   ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_ABORTED
   */
  static async open(
    prepared: PreparedDataset,
    cacheDirectory?: string,
    control: TokenizeControl = {},
  ): Promise<Dataset> {
    const { tokenizer, data, options } = prepared;
    const { textField = 'text', splitSpecialTokens = true } = data;
    const choices: TokenChoices = { textField, splitSpecialTokens };
    const chosen = data.cacheDirectory ?? cacheDirectory;
    const temporaryFolder = chosen === undefined ? await makeTemporaryFolder() : undefined;
    const folder = resolve(chosen ?? temporaryFolder!);
    const files: TokenFile[] = [];
    try {
      const all = [prepared.train, ...(prepared.validation === undefined ? [] : [prepared.validation])];
      const totalBytes = all.reduce((sum, sources) => sum + numBytesOf(sources), 0);
      let bytesBefore = 0;
      for (const sources of all) {
        const onProgress: TokenizeControl['onProgress'] =
          control.onProgress &&
          (({ doneBytes }) => control.onProgress!({ doneBytes: bytesBefore + doneBytes, totalBytes }));
        files.push(
          await TokenFile.open(folder, sources.files, tokenizer, choices, { ...control, onProgress }),
        );
        bytesBefore += numBytesOf(sources);
      }
      const [train, validation] = files;
      const { sequenceLength, isHeldOut = false } = options;
      const whole = wholeSpan(train!, sequenceLength, isHeldOut ? 'evaluation' : 'training');
      const spans = isHeldOut
        ? { train: whole, validation: whole }
        : validation === undefined
          ? holdOut(whole, data.validationFraction ?? 0.05, options)
          : { train: whole, validation: wholeSpan(validation, sequenceLength, 'validation') };
      return new Dataset(prepared, spans, temporaryFolder);
    } catch (error) {
      await Promise.all(files.map((file) => file.close()));
      await removeTemporary(temporaryFolder);
      throw error;
    }
  }

  get tokenizerFiles(): Readonly<Record<string, string>> {
    return this.tokenizer.files();
  }

  get numTrainSequences(): number {
    return this.#train.count;
  }

  get numValidationSequences(): number {
    return this.#validation?.count ?? 0;
  }

  get fingerprint(): string {
    return `${this.#train.file.sha256.slice(0, 32)}:${this.#train.count}x${this.#options.sequenceLength}`;
  }

  /** Every position of a sequence predicts. */
  numCountedTokens(_numConsumed: number, count: number): number {
    return count * this.#options.sequenceLength;
  }

  trainBatch(numConsumed: number, count: number): Promise<Batch> {
    const indices = Array.from({ length: count }, (_, i) => {
      const position = numConsumed + i;
      const epoch = Math.floor(position / this.#train.count);
      return this.#order(epoch)(position % this.#train.count);
    });
    return this.#batch(this.#train, indices);
  }

  validationBatch(first: number, count: number, limit = Infinity): Promise<Batch> {
    const span = this.#validation;
    if (span === undefined)
      throw compactError('ERR_COMPACT_DATA_EMPTY', 'there is no held-out text', {
        op: 'data',
        remedy: 'Give `validation` files, or a larger `validationFraction`',
      });
    const order = permutation(span.count, 0, 0);
    const indices = Array.from({ length: count }, (_, i) =>
      first + i < Math.min(span.count, limit) ? order(first + i) : undefined,
    );
    return this.#batch(span, indices);
  }

  async close(): Promise<void> {
    const files = new Set([this.#train, this.#validation ?? this.#train].map(({ file }) => file));
    await Promise.all([...files].map((file) => file.close()));
    await removeTemporary(this.#temporaryFolder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #order(epoch: number): (index: number) => number {
    const known = this.#orders.get(epoch);
    if (known !== undefined) return known;
    // A batch touches neighbouring epochs at most; older ones are never asked for again.
    if (this.#orders.size > 8) this.#orders.clear();
    const order = permutation(this.#train.count, this.#options.seed, epoch + 1);
    this.#orders.set(epoch, order);
    return order;
  }

  async #batch(span: Span, indices: readonly (number | undefined)[]): Promise<Batch> {
    const { sequenceLength: length } = this.#options;
    const tokens = new Int32Array(indices.length * length);
    const targets = new Int32Array(indices.length * length).fill(ignoreIndex);
    const read = async (index: number | undefined, row: number): Promise<void> => {
      if (index === undefined) return;
      const ids = await span.file.read((span.first + index) * length, length + 1);
      tokens.set(ids.subarray(0, length), row * length);
      targets.set(ids.subarray(1), row * length);
    };
    await Promise.all(indices.map(read));
    return {
      inputs: { tokens, targets },
      numCountedTokens: indices.filter((index) => index !== undefined).length * length,
    };
  }
}

/** Inputs that were found good; see Dataset.prepare. */
export interface PreparedDataset {
  readonly tokenizer: Tokenizer;
  /** @internal */
  readonly train: Sources;
  /** @internal */
  readonly validation: Sources | undefined;
  readonly data: DataOptions;
  readonly options: DatasetOptions;
}

/** A temporary folder that cannot be removed hides no error; a later run removes it. */
async function removeTemporary(folder: string | undefined): Promise<void> {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}

function wholeSpan(file: TokenFile, sequenceLength: number, what: string): Span {
  const count = Math.floor((file.numTokens - 1) / sequenceLength);
  if (count < 1)
    throw compactError('ERR_COMPACT_DATA_TOO_SHORT', `the ${what} text is shorter than one sequence`, {
      op: 'data',
      expected: `at least ${sequenceLength + 1} tokens`,
      received: `${file.numTokens}`,
      remedy: 'Use more text, or a smaller sequenceLength',
    });
  return { file, first: 0, count };
}

function holdOut(
  all: Span,
  fraction: number,
  { sequenceLength, needsValidation = false }: DatasetOptions,
): { train: Span; validation: Span | undefined } {
  const wanted = fraction === 0 ? 0 : Math.max(1, Math.round(all.count * fraction));
  const held = Math.min(wanted, all.count - 1);
  if (held === 0 && needsValidation)
    throw compactError('ERR_COMPACT_DATA_TOO_SHORT', 'nothing is left to hold out for evaluation', {
      op: 'data',
      expected: `at least ${2 * sequenceLength + 1} tokens, two sequences`,
      received: `${all.file.numTokens}`,
      remedy: 'Use more text, a smaller sequenceLength, `validation` files, or no evaluation (evalSteps: 0)',
    });
  const train = { ...all, count: all.count - held };
  return { train, validation: held === 0 ? undefined : { ...all, first: train.count, count: held } };
}

const numBytesOf = ({ files }: Sources): number => files.reduce((sum, { numBytes }) => sum + numBytes, 0);

function warningsOf(
  { tokenizer, train, validation, options }: PreparedDataset,
  spans: { readonly train: Span; readonly validation: Span | undefined },
): readonly string[] {
  const warnings: string[] = [];
  const skipped = [...train.skipped, ...(validation?.skipped ?? [])];
  if (skipped.length > 0) warnings.push(`Passed over in the folders of the text: ${listPaths(skipped)}.`);
  if (tokenizer.endOfTextId === undefined)
    warnings.push(
      `The tokenizer ${tokenizer.name} names no end of text: documents follow each other without a mark, and the ` +
        'model cannot learn to end one. Name it as eos_token in tokenizer_config.json.',
    );
  const tokenFiles = [...new Set([spans.train, spans.validation ?? spans.train].map(({ file }) => file))];
  const numUnknown = tokenFiles.reduce((sum, file) => sum + file.numUnknown, 0);
  const numTokens = tokenFiles.reduce((sum, file) => sum + file.numTokens, 0);
  if (numUnknown > 0)
    warnings.push(
      `${numUnknown} of ${numTokens} tokens stand for text that the tokenizer ${tokenizer.name} does not know.`,
    );
  return [...warnings, ...repeatedWarning(options.sequencesPerStep, spans.train.count)];
}

/** A step that reads the training data more than once; no sentence where it does not. */
export const repeatedWarning = (sequencesPerStep = 1, numSequences: number): readonly string[] =>
  sequencesPerStep <= numSequences
    ? []
    : [
        `A step of ${sequencesPerStep} sequences reads the whole training data ` +
          `${(sequencesPerStep / numSequences).toFixed(1)} times: it holds ${numSequences} sequences.`,
      ];
