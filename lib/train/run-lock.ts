import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { compactError } from '../errors.js';

const lockName = 'run.lock';
const takeoverName = 'run.lock.takeover';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the words of the system: tells it from a later one with the same number. */
  readonly processStart: string | undefined;
}

/**
 * The right to write into an output folder, held by one run at a time as a small file in it. A lock whose process is
 * gone is taken over; one of another machine is not, because nothing here can tell whether that run goes on.
 */
export class RunLock implements AsyncDisposable {
  readonly #path: string;
  /** What acquiring made; removed again with all that is in it, unless the run is kept. */
  #madeFolder: string | undefined;

  private constructor(path: string, madeFolder: string | undefined) {
    this.#path = path;
    this.#madeFolder = madeFolder;
  }

  /** @throws ERR_COMPACT_OUTPUT_LOCKED, ERR_COMPACT_CHECKPOINT_WRITE when the folder cannot be made or written */
  static async acquire(folder: string): Promise<RunLock> {
    const path = join(folder, lockName);
    let madeFolder: string | undefined;
    try {
      madeFolder = await mkdir(folder, { recursive: true });
      if (!(await create(path))) await takeOver(folder, path);
    } catch (cause) {
      if ((cause as { code?: string }).code?.startsWith('ERR_COMPACT') === true) throw cause;
      throw compactError('ERR_COMPACT_CHECKPOINT_WRITE', `${folder} cannot be used as an output folder`, {
        op: 'outputDirectory',
        received: (cause as Error).message,
        cause,
      });
    }
    return new RunLock(path, madeFolder);
  }

  /** The run has started: its folder stays. */
  keep(): void {
    this.#madeFolder = undefined;
  }

  release(): Promise<void> {
    return rm(this.#madeFolder ?? this.#path, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Whether the lock could be made: one of several that try at once succeeds. */
async function create(path: string): Promise<boolean> {
  const owner: Owner = { pid: process.pid, host: hostname(), processStart: await processStart(process.pid) };
  try {
    await writeFile(path, JSON.stringify(owner), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a dead run's lock and makes our own, one process at a time so that a fresh lock is never removed. */
async function takeOver(folder: string, path: string): Promise<void> {
  const takeover = join(folder, takeoverName);
  if (!(await create(takeover))) throw locked(folder, takeover, 'another run that is starting');
  try {
    const owner = await readOwner(path);
    if (owner === undefined || (await mayBeAlive(owner)))
      throw locked(
        folder,
        path,
        owner === undefined ? 'another run' : `process ${owner.pid} on ${owner.host}`,
      );
    await rm(path, { force: true });
    if (!(await create(path))) throw locked(folder, path, 'another run that is starting');
  } finally {
    await rm(takeover, { force: true });
  }
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

async function mayBeAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
  return owner.processStart === (await processStart(owner.pid));
}

/** Start time of a process in clock ticks since boot; undefined where the system does not tell. */
async function processStart(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // The second field is the name in parentheses and may hold spaces; the start time is field 22.
  return status?.slice(status.lastIndexOf(')') + 2).split(' ')[19];
}

function locked(folder: string, path: string, holder: string): Error {
  return compactError('ERR_COMPACT_OUTPUT_LOCKED', `${folder} is in use by ${holder}`, {
    op: 'outputDirectory',
    remedy: `Choose another output folder, or remove ${path} if that run is over`,
  });
}
