import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { compactError } from '../errors.js';
import type { CompactErrorCode, CompactErrorFields } from '../errors.js';
import type { TokenIds } from './encode-pieces.js';
import type { TextPiece } from './text-reader.js';
import type { Tokenizer } from './types.js';

/** What a worker makes its tokenizer of. */
export interface WorkerSetup {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly splitSpecialTokens: boolean;
}

/** What a worker answers for each list of pieces, in their order. */
export type WorkerAnswer =
  | { readonly ids: TokenIds }
  | { readonly code: CompactErrorCode; readonly what: string; readonly fields: CompactErrorFields };

const workerFile = join(__dirname, 'tokenize-worker.js');

/** False where the package runs from something else than its files, as bundled or TypeScript code does. */
export const hasWorkers = (): boolean => existsSync(workerFile);

/** A thread of its own that encodes text, and can be stopped in the middle of it. */
export class PieceWorker {
  readonly #worker: Worker;
  readonly #waiting: { resolve: (ids: TokenIds) => void; reject: (error: unknown) => void }[] = [];
  #failure: unknown;

  constructor(tokenizer: Tokenizer, splitSpecialTokens: boolean) {
    const workerData: WorkerSetup = { name: tokenizer.name, files: tokenizer.files(), splitSpecialTokens };
    this.#worker = new Worker(workerFile, { workerData });
    this.#worker.on('message', (answer: WorkerAnswer) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if ('ids' in answer) resolve(answer.ids);
      else reject(compactError(answer.code, answer.what, answer.fields));
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('a thread that tokenised text has ended')));
  }

  encode(pieces: readonly TextPiece[]): Promise<TokenIds> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(pieces, []);
    });
  }

  /** Ends the thread at once; what it was asked for fails with `reason`. */
  async stop(reason: unknown): Promise<void> {
    this.#fail(reason);
    await this.#worker.terminate();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
