import { isIP } from 'node:net';
import { compactError } from '../../errors.js';
import type { KeyStore } from './key-store.js';
import { scopes } from './scopes.js';

/** Of jobs and files of one who runs a server for themselves: they stay the same with every start. */
const owner = 'local';
const printedName = 'printed at the start';

/**
 * Sees to it that somebody can use a server that starts, and nobody else.
 *
 * @param given a key of somebody's own making, e.g. from the environment
 * @returns the text of a new key, for a server that this machine alone can reach; undefined where a key was given, or where
 *   other machines can reach it, which keys of before are for
 * @throws ERR_COMPACT_ARGUMENT where other machines could reach a server that has no key, or the given one is short
 */
export async function keyAtStart(keys: KeyStore, host: string, given?: string): Promise<string | undefined> {
  for (const { id, name } of await keys.list()) if (name === printedName) await keys.revoke(id);
  if (given !== undefined) {
    if ((await keys.find(given)) === undefined)
      await keys.create({ owner, name: 'given at the start', scopes }, given);
    return undefined;
  }
  if (isLoopback(host)) return (await keys.create({ owner, name: printedName, scopes })).secret;
  if ((await keys.list()).length > 0) return undefined;
  throw compactError('ERR_COMPACT_ARGUMENT', 'other machines could reach a server that has no key', {
    op: '--host',
    expected: 'a key in COMPACT_TRAIN_API_KEY, or one that was made before',
    received: host,
    remedy: 'Set COMPACT_TRAIN_API_KEY, e.g. to what `openssl rand -hex 32` prints, or leave out --host',
  });
}

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
