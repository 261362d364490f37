/** A disk that refuses: the calls of this process to the file system are counted, and one of them fails. */
import * as fs from 'node:fs';
import { join } from 'node:path';

/** What happens at a call. */
export interface Fault {
  /** 0 for the first one. */
  readonly call: number;
  /** What the system says: ENOSPC, EIO, EROFS, EACCES; or 'SIGKILL': the process ends there. */
  readonly code: string;
  /** Whether from then on nothing can be written any more, as on a disk that was remounted. */
  readonly isLasting?: boolean;
}

type Method = (...args: unknown[]) => unknown;
type Methods = Record<string, Method>;

const writing = new Set(
  'mkdir mkdtemp rename rm rmdir unlink writeFile appendFile truncate write sync datasync utimes'.split(' '),
);

export class FileFaults {
  /** Calls so far, by name and path. */
  readonly calls: string[] = [];
  readonly #folder: string;
  readonly #originals: (readonly [object: Methods, name: string, original: Method])[] = [];
  /** Handles and numbers of open files below the folder, with their paths. */
  readonly #open = new Map<unknown, string>();
  #fault: Fault | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Counts from now on what happens to the paths below a folder. */
  static async install(folder: string): Promise<FileFaults> {
    const faults = new FileFaults(folder);
    const handle = await fs.promises.open(process.execPath, 'r');
    await handle.close();
    faults.#patch(fs.promises as unknown as Methods, 'promise');
    faults.#patch(Object.getPrototypeOf(handle) as Methods, 'handle');
    faults.#patch(fs as unknown as Methods, 'callback');
    return faults;
  }

  /** Starts to count at 0 again, with a fault to come or none. */
  start(fault?: Fault): void {
    this.calls.length = 0;
    this.#fault = fault;
  }

  restore(): void {
    for (const [object, name, original] of this.#originals) object[name] = original;
  }

  #patch(object: Methods, kind: 'promise' | 'handle' | 'callback'): void {
    const names = {
      promise: Object.keys(object).filter((name) => typeof object[name] === 'function' && name !== 'watch'),
      handle: 'read readFile stat write writeFile appendFile truncate sync datasync utimes close'.split(' '),
      callback: ['open', 'read', 'close'], // of streams
    }[kind];
    for (const name of names) {
      const original = object[name]!;
      this.#originals.push([object, name, original]);
      const intercept = (object: unknown, args: unknown[]): unknown => {
        const target = kind === 'handle' ? object : args[0];
        const path = this.#pathOf(target);
        if (path === undefined) return original.apply(object, args);
        return kind === 'callback'
          ? this.#callBack(name, path, object, original, args)
          : this.#promise(name, path, target, args, () => original.apply(object, args));
      };
      object[name] = function (this: unknown, ...args: unknown[]): unknown {
        return intercept(this, args);
      };
    }
  }

  #pathOf(target: unknown): string | undefined {
    if (typeof target === 'string') return target.startsWith(this.#folder) ? target : undefined;
    return this.#open.get(target);
  }

  async #promise(
    name: string,
    path: string,
    target: unknown,
    args: readonly unknown[],
    run: () => unknown,
  ): Promise<unknown> {
    const isWriting = writing.has(name) || (name === 'open' && args[1] !== undefined && args[1] !== 'r');
    const code = this.#next(name, path, isWriting);
    if (code !== undefined) {
      // What had been done by then: half of a write, a part of a removal; a file is closed whatever close says.
      if (name === 'close') await run();
      if (code !== 'EROFS' && code !== 'EACCES') await this.#doHalf(name, path, target, args);
      this.#refuse(code, name, path);
    }
    const result = await run();
    if (name === 'open') this.#open.set(result, path);
    return result;
  }

  #callBack(name: string, path: string, object: unknown, original: Method, args: unknown[]): unknown {
    const code = this.#next(name, path, false);
    const callback = args.at(-1) as Method;
    if (code !== undefined) {
      try {
        this.#refuse(code, name, path);
      } catch (error) {
        if (name === 'close') fs.closeSync(args[0] as number);
        process.nextTick(callback, error);
        return undefined;
      }
    }
    const remember = (error: unknown, ...results: unknown[]): void => {
      if (name === 'open' && error === null) this.#open.set(results[0], path);
      if (name === 'close') this.#open.delete(args[0]);
      callback(error, ...results);
    };
    return original.apply(object, [...args.slice(0, -1), remember]);
  }

  /** Counts a call; what it is refused with, if it is. */
  #next(name: string, path: string, isWriting: boolean): string | undefined {
    const call = this.calls.push(`${name} ${path}`) - 1;
    const fault = this.#fault;
    if (fault === undefined || call < fault.call) return undefined;
    return call === fault.call || (fault.isLasting === true && isWriting) ? fault.code : undefined;
  }

  #refuse(code: string, name: string, path: string): void {
    if (code === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
    throw Object.assign(new Error(`${code}: refused, ${name} '${path}'`), { code, syscall: name, path });
  }

  async #doHalf(name: string, path: string, target: unknown, args: readonly unknown[]): Promise<void> {
    if (name === 'rm' && fs.existsSync(path)) {
      const first = fs.statSync(path).isDirectory() ? fs.readdirSync(path).at(0) : undefined;
      if (first !== undefined) fs.rmSync(join(path, first), { recursive: true });
    }
    if (name === 'appendFile' && typeof target === 'string') fs.appendFileSync(path, half(args[1] as string));
    if ((name === 'write' || name === 'writeFile') && typeof target === 'object') {
      const { fd } = target as { fd: number };
      const data = half(args[0] as string | Uint8Array);
      if (typeof data === 'string') fs.writeSync(fd, data);
      else fs.writeSync(fd, data, 0, data.length, name === 'write' ? (args[3] as number | undefined) : null);
    }
  }
}

const half = (data: string | Uint8Array): string | Uint8Array =>
  typeof data === 'string' ? data.slice(0, data.length / 2) : data.subarray(0, data.length / 2);

/** Names below a folder, in order. */
export function namesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return (fs.readdirSync(folder, { recursive: true }) as string[]).toSorted();
}
