import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** So many intervals without a beat mean that the holder is gone. */
const patience = 6;

/**
 * A lock for file systems that have none: a file that its holder keeps writing. A file that changes belongs to a run
 * that lives; one that stays the same for six intervals is left over, from whatever machine, and is taken. Nothing
 * depends on clocks that agree, on process numbers or on host names.
 *
 * Of several that take a file at once, the last to write has it: all of them look again two intervals later. A holder
 * that stood still for longer than the others' patience finds the file taken at its next beat: `isLost`.
 */
export class HeartbeatLock {
  readonly #path: string;
  readonly #token: string;
  readonly #timer: NodeJS.Timeout;
  readonly #text: (beat: number) => string;
  #numBeats = 0;
  #beating: Promise<void> = Promise.resolve();
  #isLost = false;

  private constructor(path: string, token: string, text: (beat: number) => string, intervalMs: number) {
    this.#path = path;
    this.#token = token;
    this.#text = text;
    this.#timer = setInterval(() => {
      this.#beating = this.#beating.then(() => this.#beat());
    }, intervalMs).unref();
  }

  /** @param owner what the file says of its holder, for people */
  static async acquire(
    path: string,
    owner: object,
    intervalMs: number,
  ): Promise<HeartbeatLock | { readonly holder: string }> {
    const token = randomUUID();
    const text = (beat: number): string => `${JSON.stringify({ ...owner, token, beat })}\n`;
    const first = text(0);
    for (;;) {
      if (await create(path, first)) break;
      const found = await read(path);
      if (found === undefined) continue;
      const changed = await waitForChange(path, found, intervalMs);
      if (changed === undefined) continue;
      if (changed !== found) return { holder: changed };
      await writeFile(path, first);
      await sleep(2 * intervalMs);
      const last = await read(path);
      if (last === first) break;
      if (last !== undefined) return { holder: last };
    }
    return new HeartbeatLock(path, token, text, intervalMs);
  }

  /** Whether another run has taken the file. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Never throws: a file that stays is taken by the next run, a little later. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    if (await this.#isOurs().catch(() => false)) await rm(this.#path, { force: true }).catch(() => {});
  }

  async #beat(): Promise<void> {
    try {
      if (!(await this.#isOurs())) {
        this.#isLost = true;
        clearInterval(this.#timer);
        return;
      }
      // In place: on a full disk the file stays what it was.
      await writeFile(this.#path, this.#text(++this.#numBeats), { flag: 'r+' });
    } catch {
      // A fault of the file system: the next beat tries again.
    }
  }

  async #isOurs(): Promise<boolean> {
    return (await read(this.#path))?.includes(this.#token) === true;
  }
}

/** Whether the file could be made: one of several that try at once succeeds. */
async function create(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What the file says once it changes, or the same text when it does not for as long as patience lasts. */
async function waitForChange(path: string, found: string, intervalMs: number): Promise<string | undefined> {
  for (let i = 0; i < patience; i++) {
    await sleep(intervalMs);
    const text = await read(path);
    if (text !== found) return text;
  }
  return found;
}
