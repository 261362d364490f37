import { getSystemErrorName } from 'node:util';
import { addon } from './addon.js';

/** What came of asking for a lock. */
export type FileLockResult =
  /** `release` removes the file and gives the lock back; it never throws. */
  | { readonly state: 'locked'; release(): void }
  /** Somebody else has it; `holder` is what they wrote, '' where they have not yet. */
  | { readonly state: 'held'; readonly holder: string }
  /** The file system or the platform has no locks; nothing was changed. */
  | { readonly state: 'unsupported' };

/**
 * Locks a file in such a way that the operating system frees it with whoever held it: a process that is killed, a
 * worker thread that is terminated. Two calls exclude each other within a process, too; child processes do not inherit
 * the lock. The file is made where there is none, for its user alone, and says `text`, which is for people only.
 * Never waits.
 * @throws an error of the system, such as EACCES, or EEXIST where something else than a file stands in the way
 */
export function lockFile(path: string, text: string): FileLockResult {
  const lock = new (addon().FileLock)(path, text);
  const state = lock.state();
  if (state === 'locked') return { state, release: () => lock.release() };
  if (state === 'held') return { state, holder: lock.holder() };
  if (state === 'unsupported') return { state };
  const code = getSystemErrorName(-lock.error());
  throw Object.assign(new Error(`${code}: ${path} cannot be opened and locked`), { code, path });
}
