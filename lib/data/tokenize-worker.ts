// A thread of tokenize.ts: text comes in, ids go out.
import { parentPort, workerData } from 'node:worker_threads';
import { isCompactError } from '../errors.js';
import { encodePieces } from './encode-pieces.js';
import { tokenizerFromFiles } from './huggingface/load.js';
import type { WorkerAnswer, WorkerSetup } from './piece-worker.js';
import type { TextPiece } from './text-reader.js';

const { name, files, splitSpecialTokens } = workerData as WorkerSetup;
const tokenizer = tokenizerFromFiles(name, files);

parentPort!.on('message', (pieces: readonly TextPiece[]) => {
  const answer = encode(pieces);
  parentPort!.postMessage(answer, 'ids' in answer ? [answer.ids.buffer] : []);
});

/** An error loses its code on the way to another thread, so its parts are sent. */
function encode(pieces: readonly TextPiece[]): WorkerAnswer {
  try {
    return { ids: encodePieces(tokenizer, pieces, splitSpecialTokens) };
  } catch (error) {
    if (!isCompactError(error)) throw error;
    const { code, what, op, expected, received, remedy } = error;
    return { code, what, fields: { op, expected, received, remedy } };
  }
}
