import { hostname } from 'node:os';
import { join } from 'node:path';
import { compactError, isCompactError } from '../../errors.js';
import { makeFolders, removeEmptyFolders } from '../../formats/index.js';
import { lockFile } from '../../runtime/index.js';
import { HeartbeatLock } from './heartbeat-lock.js';

const lockName = 'run.lock';
const heartbeatMs = 5000;
const attempts = 10;

/** What holds the file: the system's lock, or where there are none a file that is kept alive. */
interface Held {
  release(): Promise<void> | void;
  readonly isLost?: boolean;
}

/**
 * The right to write into an output folder, held by one run at a time through the file `run.lock` in it. The lock is the
 * operating system's, so it goes with the run that held it, however that ended, on whatever machine; what the file says
 * is for people only. Where the file system knows no locks, see HeartbeatLock.
 */
export class RunLock implements AsyncDisposable {
  readonly #folder: string;
  readonly #held: Held;
  /** The topmost folder that acquiring made; taken back, unless the run is kept. */
  #madeFolder: string | undefined;

  private constructor(folder: string, held: Held, madeFolder: string | undefined) {
    this.#folder = folder;
    this.#held = held;
    this.#madeFolder = madeFolder;
  }

  /**
   * @param options.heartbeatMs for tests
   * @throws ERR_COMPACT_OUTPUT_LOCKED, ERR_COMPACT_CHECKPOINT_WRITE when the folder cannot be made or written
   */
  static async acquire(folder: string, options: { readonly heartbeatMs?: number } = {}): Promise<RunLock> {
    let madeFolder: string | undefined;
    const make = async (): Promise<void> => {
      const made = await makeFolders(folder);
      madeFolder ??= made;
    };
    try {
      const held = await hold(folder, make, options.heartbeatMs ?? heartbeatMs);
      return new RunLock(folder, held, madeFolder);
    } catch (cause) {
      await removeEmptyFolders(folder, madeFolder);
      if (isCompactError(cause)) throw cause;
      throw compactError('ERR_COMPACT_CHECKPOINT_WRITE', `${folder} cannot be used as an output folder`, {
        op: 'outputDirectory',
        received: (cause as Error).message,
        remedy: 'Choose a folder that this user may write to, on a disk that has space left',
        cause,
      });
    }
  }

  /** The run has started: its folder stays. */
  keep(): void {
    this.#madeFolder = undefined;
  }

  /**
   * To be called before anything is written for good.
   * @throws ERR_COMPACT_OUTPUT_LOCKED when another run took the folder, which only a HeartbeatLock can come to
   */
  check(): void {
    if (this.#held.isLost !== true) return;
    throw compactError('ERR_COMPACT_OUTPUT_LOCKED', `${this.#folder} was taken by another run`, {
      op: 'outputDirectory',
      remedy:
        'This run stood still for too long, on a file system without locks: go on in another folder, or after that run',
    });
  }

  async release(): Promise<void> {
    await this.#held.release();
    await removeEmptyFolders(this.#folder, this.#madeFolder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Locks the file in a folder that `make` makes: again, when a run that was refused takes it away meanwhile. */
async function hold(folder: string, make: () => Promise<void>, heartbeatMs: number): Promise<Held> {
  const path = join(folder, lockName);
  const owner: Owner = { pid: process.pid, host: hostname(), started: new Date().toISOString() };
  for (let attempt = 1; ; attempt++) {
    try {
      await make();
      const result = lockFile(path, `${JSON.stringify(owner)}\n`);
      if (result.state === 'locked') return result;
      const other = result.state === 'held' ? result : await HeartbeatLock.acquire(path, owner, heartbeatMs);
      if (other instanceof HeartbeatLock) return other;
      throw locked(folder, other.holder);
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

function locked(folder: string, holder: string): Error {
  return compactError('ERR_COMPACT_OUTPUT_LOCKED', `${folder} is in use by ${describeHolder(holder)}`, {
    op: 'outputDirectory',
    remedy:
      'Choose another output folder, or end that run: its lock goes with it, and no file has to be removed',
  });
}

/** The text may be anything, so no more of it is repeated than what looks right. */
function describeHolder(text: string): string {
  const find = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  const pid = find(/"pid":(\d{1,10})[,}]/);
  const host = find(/"host":"([\w.-]{1,253})"/);
  const started = find(/"started":"([\dT:.Z-]{1,30})"/);
  if (pid === undefined || host === undefined) return 'another run';
  return `process ${pid} on ${host}${started === undefined ? '' : `, started ${started}`}`;
}
