import { availableParallelism } from 'node:os';
import { compactError } from '../errors.js';
import { byteTokenizer } from './byte-tokenizer.js';
import { encodePieces } from './encode-pieces.js';
import type { TokenIds } from './encode-pieces.js';
import { hasWorkers, PieceWorker } from './piece-worker.js';
import type { SourceFile } from './sources.js';
import { readPieces } from './text-reader.js';
import type { TextPiece } from './text-reader.js';
import type { Tokenizer } from './types.js';

/** How text becomes tokens, beside the tokenizer: all of it changes the tokens. */
export interface TokenChoices {
  /** Key of the text in a line of JSON lines. */
  readonly textField: string;
  /** Whether the text of a control token, e.g. `</s>`, is text like any other. */
  readonly splitSpecialTokens: boolean;
}

/** How much of the text's files has been read. */
export interface TokenizeProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What tokenising may be given that does not change the tokens. */
export interface TokenizeControl {
  readonly signal?: AbortSignal;
  /** Told about four times a second, and at the end. */
  readonly onProgress?: (progress: TokenizeProgress) => void;
  /** Threads that encode. Default: as many as the machine has, at most 16, each with the vocabulary in its memory. */
  readonly threads?: number;
}

/** Characters that are encoded at a time: some tens of milliseconds of work. */
const batchLength = 131_072;
/** Below this a thread costs more than it saves. */
const bytesPerThread = 2 ** 20;
const maxThreads = 16;
const progressMs = 250;

/** Pieces that are encoded together, and the bytes of all files that are read when they are. */
interface PieceBatch {
  readonly pieces: readonly TextPiece[];
  readonly doneBytes: number;
}

/**
 * The ids of some files in order, a part at a time: the same whatever the number of threads.
 *
 * @throws ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT, ERR_COMPACT_DATA_READ, ERR_COMPACT_TOKENIZER,
 * ERR_COMPACT_ABORTED
 */
export async function* tokenize(
  sources: readonly SourceFile[],
  tokenizer: Tokenizer,
  choices: TokenChoices,
  control: TokenizeControl = {},
): AsyncGenerator<TokenIds> {
  const totalBytes = sources.reduce((sum, { numBytes }) => sum + numBytes, 0);
  const batches = readBatches(sources, choices.textField);
  const numThreads = threadsFor(tokenizer, totalBytes, control.threads);
  const parts =
    numThreads === 0
      ? encodeHere(batches, tokenizer, choices, control)
      : encodeInThreads(batches, tokenizer, choices, control, numThreads);
  let told = performance.now();
  for await (const { ids, doneBytes } of parts) {
    yield ids;
    // Everything may be read before the last of it is encoded: the end is told once, below.
    if (doneBytes >= totalBytes || performance.now() - told < progressMs) continue;
    told = performance.now();
    control.onProgress?.({ doneBytes, totalBytes });
  }
  control.onProgress?.({ doneBytes: totalBytes, totalBytes });
}

/** None for little text; but expressions of the tokenizer's files may run for ever, so they need one that can be stopped. */
function threadsFor(tokenizer: Tokenizer, totalBytes: number, wanted = availableParallelism()): number {
  const isHere = tokenizer === byteTokenizer || !hasWorkers();
  if (isHere || (totalBytes < bytesPerThread && !tokenizer.hasPatterns)) return 0;
  return Math.max(1, Math.min(wanted, maxThreads, Math.ceil(totalBytes / bytesPerThread)));
}

interface EncodedBatch {
  readonly ids: TokenIds;
  readonly doneBytes: number;
}

async function* encodeHere(
  batches: AsyncIterable<PieceBatch>,
  tokenizer: Tokenizer,
  { splitSpecialTokens }: TokenChoices,
  { signal }: TokenizeControl,
): AsyncGenerator<EncodedBatch> {
  for await (const { pieces, doneBytes } of batches) {
    if (signal?.aborted === true) throw aborted(signal);
    yield { ids: encodePieces(tokenizer, pieces, splitSpecialTokens), doneBytes };
  }
}

/** Batches go to the threads in turn and come back in the same order; two for each thread are under way at most. */
async function* encodeInThreads(
  batches: AsyncIterable<PieceBatch>,
  tokenizer: Tokenizer,
  { splitSpecialTokens }: TokenChoices,
  { signal }: TokenizeControl,
  numThreads: number,
): AsyncGenerator<EncodedBatch> {
  if (signal?.aborted === true) throw aborted(signal);
  const workers = Array.from({ length: numThreads }, () => new PieceWorker(tokenizer, splitSpecialTokens));
  const stop = (reason: unknown) => Promise.all(workers.map((worker) => worker.stop(reason)));
  const abort = (): void => void stop(aborted(signal!));
  signal?.addEventListener('abort', abort);
  const underWay: { ids: Promise<TokenIds>; doneBytes: number }[] = [];
  const next = async (): Promise<EncodedBatch> => {
    const { ids, doneBytes } = underWay.shift()!;
    return { ids: await ids, doneBytes };
  };
  try {
    let numBatches = 0;
    for await (const { pieces, doneBytes } of batches) {
      const ids = workers[numBatches++ % numThreads]!.encode(pieces);
      // A failure is told when its turn comes.
      ids.catch(() => undefined);
      underWay.push({ ids, doneBytes });
      if (underWay.length === 2 * numThreads) yield await next();
    }
    while (underWay.length > 0) yield await next();
  } finally {
    signal?.removeEventListener('abort', abort);
    await stop(new Error('no longer needed'));
  }
}

async function* readBatches(sources: readonly SourceFile[], textField: string): AsyncGenerator<PieceBatch> {
  let pieces: TextPiece[] = [];
  let length = 0;
  let bytesBefore = 0;
  for (const source of sources) {
    for await (const piece of readPieces(source, textField)) {
      pieces.push(piece);
      length += piece.text.length;
      if (length < batchLength) continue;
      yield { pieces, doneBytes: bytesBefore + piece.readBytes };
      pieces = [];
      length = 0;
    }
    bytesBefore += source.numBytes;
  }
  if (pieces.length > 0) yield { pieces, doneBytes: bytesBefore };
}

const aborted = ({ reason }: AbortSignal): Error =>
  compactError('ERR_COMPACT_ABORTED', 'tokenising was ended by its signal', { op: 'data', cause: reason });
