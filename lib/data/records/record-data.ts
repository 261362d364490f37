import { rm } from 'node:fs/promises';
import { compactError } from '../../errors.js';
import { makeFolders, makeTemporaryFolder, onPath } from '../../formats/index.js';
import type { BatchField } from '../../graph/index.js';
import { checkOptions } from '../../options.js';
import { repeatedWarning, type DatasetOptions } from '../dataset.js';
import type { PreparedData, RunData } from '../run-data.js';
import type { TokenizeControl } from '../tokenize.js';
import { checkVocabulary } from '../tokenizer.js';
import type { Batch, Tokenizer } from '../types.js';
import type { EncodedRecord } from './encode/encoded-record.js';
import { openRecords } from './encode-records.js';
import type { RecordEncoder } from './encode-records.js';
import { badRecord } from './kinds/index.js';
import { classesAtOnce, classesOf, labelField, labelledBatch, labelOptions } from './labelled-batch.js';
import { referenceField, type PreferenceAnswers } from './preference-answers.js';
import { layOut } from './packing/packed-sequence.js';
import { packsRecords, recordDataTable, type RecordDataOptions } from './record-data-options.js';
import { RecordFile } from './record-file.js';
import { recordsOf, spansOf, type RecordSpan, type SequenceOptions } from './record-spans.js';
import type { RecordStatistics } from './statistics.js';
import { pathsOf, weightsOf } from './sources.js';
import { tokenizerFiles } from './tokenizer-files.js';

interface RecordTokenizer {
  readonly tokenizer: Tokenizer;
  /** As they go into checkpoints. */
  readonly files: Readonly<Record<string, string>>;
}

interface RecordSource extends Pick<RecordTokenizer, 'files'> {
  readonly train: RecordEncoder;
  readonly validation: RecordEncoder | undefined;
  readonly validationFraction: number;
  /** Of the files of the training records, by their paths. */
  readonly weights: ReadonlyMap<string, number>;
}

/** Sequences of records: each record is a document of its own, and what of it counts in the loss its kind says. */
export class RecordData implements RunData {
  readonly tokenizer: Tokenizer;
  readonly tokenizerFiles: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly statistics: RecordStatistics;
  readonly fingerprint: string;
  readonly #options: SequenceOptions;
  readonly #train: RecordSpan;
  readonly #validation: RecordSpan | undefined;
  /** Of the answers of each file, where records are preference pairs. */
  readonly #references: ReadonlyMap<RecordFile, Float32Array>;
  readonly #release: () => Promise<void>;

  private constructor(
    { tokenizer, files }: RecordTokenizer,
    options: SequenceOptions,
    spans: { readonly train: RecordSpan; readonly validation: RecordSpan | undefined },
    release: () => Promise<void>,
  ) {
    const { train, validation } = spans;
    this.tokenizer = tokenizer;
    this.tokenizerFiles = files;
    this.#options = options;
    this.#train = train;
    this.#validation = validation;
    this.#release = release;
    this.statistics = train.file.statistics;
    const heldOut = validation === undefined || validation.file === train.file ? [] : [validation.file];
    const paired = [train.file, ...heldOut].filter(({ isPaired }) => isPaired);
    this.#references = new Map(paired.map((file) => [file, new Float32Array(file.lengths.length)]));
    this.warnings = [
      ...this.statistics.warnings,
      ...heldOut.flatMap(({ statistics }) => statistics.warnings.map((warning) => `Held out: ${warning}`)),
      ...repeatedWarning(options.sequencesPerStep, train.numSequences),
    ];
    const { sequenceLength, isPacked } = options;
    const form = `${train.numSequences}x${sequenceLength}${isPacked ? ' packed' : ''}`;
    const weighted = train.weights.every((weight) => weight === 1) ? '' : ` weights ${train.weights.join()}`;
    this.fingerprint = `records ${train.file.sha256.slice(0, 32)}:${form}${weighted}`;
  }

  /** @see prepareData */
  static async prepare(
    given: RecordDataOptions,
    options: DatasetOptions,
    batchFields: readonly BatchField[],
  ): Promise<PreparedData> {
    const checked = checkOptions(given, recordDataTable, { what: 'data', prefix: 'data.' });
    const { records, validation, validationFraction, packing, ...encoding } = checked;
    const isPacked = packsRecords({ packing }, batchFields);
    if (isPacked && referenceField(batchFields) !== undefined)
      throw compactError('ERR_COMPACT_CONFIG_VALUE', 'preference pairs are not packed', {
        op: 'data.packing',
        expected: 'false, or left out',
        received: 'true',
      });
    const labels = labelOptions(encoding, batchFields);
    const { sequenceLength: contextLength, vocabularySize } = options;
    const encoderOf = (files: string | readonly string[]): Promise<RecordEncoder> =>
      openRecords({ ...encoding, ...labels, files, contextLength });
    const weights = weightsOf(records);
    const train = await encoderOf(pathsOf(records));
    const heldOut = validation === undefined ? undefined : await encoderOf(validation);
    checkVocabulary(train.tokenizer, vocabularySize);
    const files = await tokenizerFiles(encoding.tokenizer, encoding.addBos);
    const source = { train, validation: heldOut, validationFraction, files, weights };
    return {
      open: (folder, control) =>
        RecordData.#open(source, { ...options, isPacked, batchFields }, folder, control),
    };
  }

  static async #open(
    source: RecordSource,
    options: SequenceOptions,
    cacheDirectory: string | undefined,
    { signal }: TokenizeControl = {},
  ): Promise<RecordData> {
    const folder = cacheDirectory ?? (await makeTemporaryFolder());
    await onPath('ERR_COMPACT_CHECKPOINT_WRITE', folder, () => makeFolders(folder));
    const files: RecordFile[] = [];
    const release = async (): Promise<void> => {
      for (const file of files) await file[Symbol.asyncDispose]();
      if (cacheDirectory === undefined)
        await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    };
    try {
      const { train, validation } = source;
      for (const encoder of validation === undefined ? [train] : [train, validation])
        files.push(await RecordFile.write(folder, encoder, { signal, countOf: countOf(options) }));
      const tokenizer = { tokenizer: train.tokenizer, files: source.files };
      return new RecordData(tokenizer, options, spansOf(files, source, options), release);
    } catch (error) {
      await release();
      throw error;
    }
  }

  get numTokens(): number {
    return this.#train.numTokens;
  }

  get numTrainSequences(): number {
    return this.#train.numSequences;
  }

  get numValidationSequences(): number {
    return this.#validation?.numSequences ?? 0;
  }

  get answers(): readonly PreferenceAnswers[] {
    return Array.from(this.#references, ([file, reference]) => ({
      name: file === this.#train.file ? ('train' as const) : ('validation' as const),
      sha256: file.sha256,
      reference,
      batch: (first: number, count: number) =>
        this.#batch(
          file,
          Array.from({ length: count }, (_, i) => (first + i < reference.length ? [first + i] : [])),
        ),
    }));
  }

  numCountedTokens(numConsumed: number, count: number): number {
    let sum = 0;
    for (let i = 0; i < count; i++)
      for (const record of this.#recordsAt(numConsumed + i)) sum += this.#train.file.counted[record]!;
    return sum;
  }

  trainBatch(numConsumed: number, count: number): Promise<Batch> {
    const rows = Array.from({ length: count }, (_, i) => this.#recordsAt(numConsumed + i));
    return this.#batch(this.#train.file, rows);
  }

  validationBatch(first: number, count: number, limit = Infinity): Promise<Batch> {
    const span = this.#validation;
    if (span === undefined)
      throw compactError('ERR_COMPACT_DATA_EMPTY', 'no records are held out', {
        op: 'data',
        remedy: 'Give `validation` files, or a larger `validationFraction`',
      });
    const wanted = Math.min(span.numSequences, limit);
    const end = span.file.isPaired ? wanted - (wanted % 2) : wanted; // whole pairs
    const rows = Array.from({ length: count }, (_, i) =>
      first + i < end ? recordsOf(span.arrangement(0), first + i) : [],
    );
    return this.#batch(span.file, rows);
  }

  close(): Promise<void> {
    return this.#release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Records of the training sequence that comes after `position` others. */
  #recordsAt(position: number): readonly number[] {
    const { arrangement, placeOf } = this.#train;
    const { epoch, sequence } = placeOf(position);
    return recordsOf(arrangement(epoch), sequence);
  }

  async #batch(file: RecordFile, rows: readonly (readonly number[])[]): Promise<Batch> {
    const { sequenceLength, isPacked, batchFields } = this.#options;
    const { padTokenId, endOfTextId } = this.tokenizer;
    const padId = padTokenId ?? endOfTextId ?? 0;
    if (labelField(batchFields) !== undefined) {
      const labelled = rows.map(async ([record]) =>
        record === undefined
          ? undefined
          : { ids: (await file.read(record)).ids, labels: file.labels[record]! },
      );
      return labelledBatch(await Promise.all(labelled), { sequenceLength, padId, batchFields });
    }
    const sequences = await Promise.all(
      rows.map(async (records) => {
        const read = await Promise.all(records.map((record) => file.read(record)));
        return layOut(read, sequenceLength, padId);
      }),
    );
    const fields = ['tokens', 'targets', ...(isPacked ? (['positions', 'firstKeys'] as const) : [])] as const;
    const inputs = fields.map((name) => {
      const joined = new Int32Array(rows.length * sequenceLength);
      sequences.forEach((sequence, i) => joined.set(sequence[name], i * sequenceLength));
      return [name, joined] as const;
    });
    const reference = this.#references.get(file);
    const referenceLogProbabilities =
      reference && Float32Array.from(rows, ([record]) => (record === undefined ? NaN : reference[record]!));
    const numCountedTokens = rows.flat().reduce((sum, record) => sum + file.counted[record]!, 0);
    return {
      inputs: { ...Object.fromEntries(inputs), ...(reference && { referenceLogProbabilities }) },
      numCountedTokens,
    };
  }
}

/** What of a record counts in the loss of a model: some of its tokens, its labels, or a pair. What it cannot learn is refused. */
function countOf({ batchFields }: SequenceOptions): (record: EncodedRecord) => number {
  const field = labelField(batchFields);
  const isPaired = referenceField(batchFields) !== undefined;
  return (record) => {
    checkPair(record, isPaired);
    if (field !== undefined) return countedLabels(record, field);
    refuseLabels(record);
    return isPaired ? 1 : record.counts.reduce((sum, count) => sum + count, 0);
  };
}

function checkPair({ place, rejected }: EncodedRecord, isWanted: boolean): void {
  if ((rejected !== undefined) === isWanted) return;
  throw badRecord(place, isWanted ? 'is no preference pair' : 'is a preference pair', {
    expected: isWanted
      ? '`chosen` and `rejected`, with `prompt`, as the run learns preferences'
      : 'text, a prompt with its completion, messages, or a text with its label',
    remedy: isWanted
      ? 'Leave `preference` out of the options to learn the text itself'
      : 'finetune learns pairs, and measures those that are held out; the better answers alone can be learnt as messages or completion',
  });
}

function countedLabels({ place, labels }: EncodedRecord, field: BatchField): number {
  const [numClasses, atOnce] = [classesOf(field), classesAtOnce(field)];
  const isKnown = labels?.every((label) => label < (numClasses ?? Infinity)) ?? false;
  if (isKnown && (labels?.length === 1 || atOnce !== undefined)) return atOnce ?? 1;
  const [what, expected] =
    numClasses === undefined
      ? ['is not of one number', 'a number']
      : [
          `is not of ${atOnce === undefined ? 'one class' : 'classes'} of the model`,
          `a class from 0 to ${numClasses - 1}`,
        ];
  throw badRecord(place, what, {
    expected: `a text with \`label\`, ${expected}${atOnce === undefined ? '' : ', or with `labels`, a list of classes'}`,
    received: labels === undefined ? 'no label' : `the labels ${labels.join(', ')}`,
  });
}

/** A model of language learns texts; labels are for models with another head. */
function refuseLabels({ place, labels }: EncodedRecord): void {
  if (labels === undefined) return;
  throw badRecord(place, 'has a label, and no text that is learnt', {
    expected: 'text, a prompt with its completion, or messages, for a model of language',
    remedy: 'To learn the text itself, say kind: text',
  });
}
