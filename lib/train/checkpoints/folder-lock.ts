import { hostname } from 'node:os';
import { join } from 'node:path';
import { compactError, isCompactError } from '../../errors.js';
import type { CompactErrorCode } from '../../errors.js';
import { makeFolders, removeEmptyFolders } from '../../formats/index.js';
import { lockFile } from '../../runtime/index.js';
import { HeartbeatLock } from './heartbeat-lock.js';

const heartbeatMs = 5000;
const attempts = 10;

/** What holds the file: the system's lock, or where there are none a file that is kept alive. */
interface Held {
  release(): Promise<void> | void;
  readonly isLost?: boolean;
}

/** What a folder is used for: the file that is locked, and the words of errors. */
export interface FolderUse {
  readonly fileName: string;
  /** Who holds the folder: 'run'. */
  readonly holder: string;
  /** The option that names the folder. */
  readonly op: string;
  /** Where the folder cannot be made or written: the error, what the folder is, and what to do. */
  readonly unusable: { readonly code: CompactErrorCode; readonly as: string; readonly remedy: string };
  /** What to do where another holder has it. */
  readonly whenHeld: string;
  /** What to do where another holder took it, which only a HeartbeatLock can come to. */
  readonly whenLost: string;
}

/**
 * The right to write into a folder, held by one at a time through a file in it. The lock is the operating system's, so it
 * goes with the process that held it, however that ended, on whatever machine; what the file says is for people only.
 * Where the file system knows no locks, see HeartbeatLock.
 */
export class FolderLock implements AsyncDisposable {
  readonly #folder: string;
  readonly #use: FolderUse;
  readonly #held: Held;
  /** The topmost folder that acquiring made; taken back, unless it is kept. */
  #madeFolder: string | undefined;

  private constructor(folder: string, use: FolderUse, held: Held, madeFolder: string | undefined) {
    this.#folder = folder;
    this.#use = use;
    this.#held = held;
    this.#madeFolder = madeFolder;
  }

  /**
   * @param options.heartbeatMs for tests
   * @throws ERR_COMPACT_OUTPUT_LOCKED, the code of the use when the folder cannot be made or written
   */
  static async acquire(
    folder: string,
    use: FolderUse,
    options: { readonly heartbeatMs?: number } = {},
  ): Promise<FolderLock> {
    let madeFolder: string | undefined;
    const make = async (): Promise<void> => {
      const made = await makeFolders(folder);
      madeFolder ??= made;
    };
    try {
      const held = await hold(folder, use, make, options.heartbeatMs ?? heartbeatMs);
      return new FolderLock(folder, use, held, madeFolder);
    } catch (cause) {
      await removeEmptyFolders(folder, madeFolder);
      if (isCompactError(cause)) throw cause;
      const { code, as, remedy } = use.unusable;
      const received = (cause as Error).message;
      throw compactError(code, `${folder} cannot be used as ${as}`, { op: use.op, received, remedy, cause });
    }
  }

  /** What needs the folder has started: it stays. */
  keep(): void {
    this.#madeFolder = undefined;
  }

  /**
   * To be called before anything is written for good.
   * @throws ERR_COMPACT_OUTPUT_LOCKED when another took the folder, which only a HeartbeatLock can come to
   */
  check(): void {
    if (this.#held.isLost !== true) return;
    const { op, holder, whenLost } = this.#use;
    const what = `${this.#folder} was taken by another ${holder}`;
    throw compactError('ERR_COMPACT_OUTPUT_LOCKED', what, { op, remedy: whenLost });
  }

  async release(): Promise<void> {
    await this.#held.release();
    await removeEmptyFolders(this.#folder, this.#madeFolder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Locks the file in a folder that `make` makes: again, when one that was refused takes it away meanwhile. */
async function hold(
  folder: string,
  use: FolderUse,
  make: () => Promise<void>,
  heartbeatMs: number,
): Promise<Held> {
  const path = join(folder, use.fileName);
  const owner: Owner = { pid: process.pid, host: hostname(), started: new Date().toISOString() };
  for (let attempt = 1; ; attempt++) {
    try {
      await make();
      const result = lockFile(path, `${JSON.stringify(owner)}\n`);
      if (result.state === 'locked') return result;
      const other = result.state === 'held' ? result : await HeartbeatLock.acquire(path, owner, heartbeatMs);
      if (other instanceof HeartbeatLock) return other;
      throw locked(folder, use, other.holder);
    } catch (error) {
      if (attempt === attempts || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly started: string;
}

function locked(folder: string, { holder, op, whenHeld }: FolderUse, text: string): Error {
  const what = `${folder} is in use by ${describeHolder(text) ?? `another ${holder}`}`;
  return compactError('ERR_COMPACT_OUTPUT_LOCKED', what, { op, remedy: whenHeld });
}

/** The text may be anything, so no more of it is repeated than what looks right. */
function describeHolder(text: string): string | undefined {
  const find = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  const pid = find(/"pid":(\d{1,10})[,}]/);
  const host = find(/"host":"([\w.-]{1,253})"/);
  const started = find(/"started":"([\dT:.Z-]{1,30})"/);
  if (pid === undefined || host === undefined) return undefined;
  return `process ${pid} on ${host}${started === undefined ? '' : `, started ${started}`}`;
}
