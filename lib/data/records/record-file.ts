import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compactError } from '../../errors.js';
import { closeQuietly, onPath, readFully, temporaryName, writeFully } from '../../formats/index.js';
import { sidesOf, type EncodedRecord, type MarkedTokens } from './encode/encoded-record.js';
import type { RecordEncoder } from './encode-records.js';
import type { RecordStatistics } from './statistics.js';

/** Bytes of a token in the file: its id times two, plus one where it counts in the loss. */
const tokenBytes = 4;
/** Tokens that are written at once. */
const tokensAtOnce = 2 ** 16;

/**
 * Encoded records on disk, read by number, so that memory grows with the number of records alone. The file is this
 * process's and goes with it: encoding is quick beside training, and done anew at every start.
 */
export class RecordFile implements AsyncDisposable {
  readonly statistics: RecordStatistics;
  /** Whether records are preference pairs: each then takes two numbers, an even one for the better answer and the next. */
  readonly isPaired: boolean;
  /** Tokens of each record. */
  readonly lengths: readonly number[];
  /** What of each record counts in the loss: some of its tokens, or its labels; of a pair once, with its better answer. */
  readonly counted: readonly number[];
  /** The labels of each record, where records have them: classes, or a number that is to be predicted. */
  readonly labels: readonly EncodedRecord['labels'][];
  /** The file that each record was read from. */
  readonly paths: readonly string[];
  /** Of all tokens and where each record ends: tells whether two runs see the same records. */
  readonly sha256: string;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #starts: readonly number[];

  private constructor(path: string, file: FileHandle, writer: RecordWriter, statistics: RecordStatistics) {
    this.#path = path;
    this.#file = file;
    this.#starts = writer.starts;
    this.lengths = writer.lengths;
    this.counted = writer.counted;
    this.labels = writer.labels;
    this.paths = writer.paths;
    this.sha256 = writer.sha256;
    this.statistics = statistics;
    this.isPaired = statistics.kind === 'preference';
  }

  /**
   * Encodes all records into a new file of a folder.
   * @param countOf asked of each record, before it is written, how much of it counts in the loss; refuses what cannot be learnt
   * @throws what encoding throws, ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_ABORTED
   */
  static async write(
    folder: string,
    encoder: RecordEncoder,
    {
      signal,
      countOf,
    }: { readonly signal?: AbortSignal; readonly countOf: (record: EncodedRecord) => number },
  ): Promise<RecordFile> {
    const path = join(folder, temporaryName('records'));
    const onDisk = <T>(work: () => Promise<T>): Promise<T> =>
      onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, work);
    const file = await onDisk(() => open(path, 'wx+'));
    try {
      const writer = new RecordWriter(file);
      const statistics = await encoder.encodeAll(async (record) => {
        if (signal?.aborted === true)
          throw compactError('ERR_COMPACT_ABORTED', 'reading the records was aborted', {
            cause: signal.reason,
          });
        const counted = countOf(record);
        await onDisk(() => writer.add(record, counted));
      });
      await onDisk(() => writer.flush());
      return new RecordFile(path, file, writer, statistics);
    } catch (error) {
      await discard(path, file);
      throw error;
    }
  }

  /** @throws ERR_COMPACT_DATA_READ */
  read(record: number): Promise<MarkedTokens> {
    return onPath('ERR_COMPACT_DATA_READ', this.#path, async () => {
      const marked = new Int32Array(this.lengths[record]!);
      const bytes = new Uint8Array(marked.buffer);
      const numRead = await readFully(this.#file, bytes, this.#starts[record]! * tokenBytes);
      if (numRead < bytes.length)
        throw compactError('ERR_COMPACT_DATA_READ', `${this.#path} is no longer what was written`, {
          remedy: 'Start again, and leave the file alone meanwhile',
        });
      return {
        ids: marked.map((token) => token >> 1),
        counts: Uint8Array.from(marked, (token) => token & 1),
      };
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return discard(this.#path, this.#file);
  }
}

/** What cannot be removed hides no error; a later run removes it. */
async function discard(path: string, file: FileHandle): Promise<void> {
  await closeQuietly(file);
  await rm(path, { force: true }).catch(() => undefined);
}

class RecordWriter {
  readonly starts: number[] = [];
  readonly lengths: number[] = [];
  readonly counted: number[] = [];
  readonly labels: EncodedRecord['labels'][] = [];
  readonly paths: string[] = [];
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  #waiting: number[] = [];
  #numTokens = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get sha256(): string {
    return this.#hash.digest('hex');
  }

  async add(record: EncodedRecord, counted: number): Promise<void> {
    for (const side of sidesOf(record)) this.#add(record, side, side === record.rejected ? 0 : counted);
    if (this.#waiting.length >= tokensAtOnce) await this.flush();
  }

  #add({ place, labels }: EncodedRecord, { ids, counts }: MarkedTokens, counted: number): void {
    this.starts.push(this.#numTokens);
    this.lengths.push(ids.length);
    this.counted.push(counted);
    this.labels.push(labels);
    this.paths.push(place.path);
    this.#numTokens += ids.length;
    this.#hash.update(labels === undefined ? `${ids.length} ` : `${ids.length}=${labels.join()} `);
    for (let i = 0; i < ids.length; i++) this.#waiting.push(2 * ids[i]! + counts[i]!);
  }

  async flush(): Promise<void> {
    const bytes = new Uint8Array(Int32Array.from(this.#waiting).buffer);
    this.#waiting = [];
    this.#hash.update(bytes);
    await writeFully(this.#file, bytes);
  }
}
