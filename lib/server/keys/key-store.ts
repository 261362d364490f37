import * as v from 'valibot';
import { compactError } from '../../errors.js';
import type { Database, SqlRow } from '../../jobs/database.js';
import { checkOptions, oneOf, optional, text, wholeNumber, type OptionTable } from '../../options.js';
import { sortableId } from '../sortable-id.js';
import { scopes, usualScopes, type Scope } from './scopes.js';
import { hashSecret, isSecret, lookupOf, newSecret, shortestSecret } from './secret.js';

/** A key as it is known without its text. */
export interface ApiKey {
  readonly id: string;
  /** Whose jobs and files those are that are made with it; several keys may have one owner. */
  readonly owner: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Jobs of the owner that have not ended, at most. */
  readonly maxJobs: number;
  /** Bytes of the owner's files together, at most. */
  readonly maxFileBytes: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** What a new key may do, and how much its owner may have. */
export interface KeyOptions {
  /** Default: an owner of its own. */
  readonly owner?: string;
  /** What people call it. Default ''. */
  readonly name?: string;
  /** Default: all but 'admin'. */
  readonly scopes?: readonly Scope[];
  /** Default 100. */
  readonly maxJobs?: number;
  /** Default 10 GiB. */
  readonly maxFileBytes?: number;
}

const word = v.pipe(text, v.maxLength(128, 'text of at most 128 characters'));
const keyTable = {
  owner: optional(v.pipe(word, v.nonEmpty('text'))),
  name: optional(word, ''),
  scopes: optional(
    v.pipe(v.array(oneOf(scopes), 'a list of scopes'), v.nonEmpty('a scope')),
    () => usualScopes as Scope[],
  ),
  maxJobs: optional(wholeNumber(0), 100),
  maxFileBytes: optional(wholeNumber(0), 10 * 2 ** 30),
} satisfies OptionTable<KeyOptions>;

/** Keys, in a database that has the server's tables. */
export class KeyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * @param secret of somebody's own making; a new one when it is left out
   * @returns the key, and its text, which is told here and never again
   * @throws ERR_COMPACT_CONFIG_*, ERR_COMPACT_ARGUMENT for a secret that is short, ERR_COMPACT_STORE
   */
  async create(
    given: KeyOptions = {},
    secret = newSecret(),
  ): Promise<{ readonly key: ApiKey; readonly secret: string }> {
    const options = checkOptions(given, keyTable, { what: 'a key' });
    if (secret.length < shortestSecret || !/^[\x21-\x7e]+$/.test(secret))
      throw compactError('ERR_COMPACT_ARGUMENT', 'the key is not possible', {
        op: 'key',
        expected: `at least ${shortestSecret} visible characters of ASCII`,
        received: `${secret.length} characters`,
        remedy: 'Make one: openssl rand -hex 32',
      });
    const id = sortableId('key');
    const key = { id, createdAt: Date.now(), ...options, owner: options.owner ?? `owner-${id}` };
    const { lookup, salt, hash } = hashSecret(secret);
    await this.#database.query(
      `INSERT INTO server_keys
        (id, lookup, salt, hash, owner, name, scopes, max_jobs, max_file_bytes, created_at, revoked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)`,
      [
        ...[id, lookup, salt, hash, key.owner, key.name, key.scopes.join(' ')],
        ...[key.maxJobs, key.maxFileBytes, key.createdAt],
      ],
    );
    return { key, secret };
  }

  /** The key of a text, unless there is none or it was revoked. */
  async find(secret: string): Promise<ApiKey | undefined> {
    const [row] = await this.#database.query(
      'SELECT * FROM server_keys WHERE lookup = $1 AND revoked_at IS NULL',
      [lookupOf(secret)],
    );
    const { salt, hash } = row ?? hashSecret('');
    const isRight = isSecret(secret, { salt: String(salt), hash: String(hash) });
    return row !== undefined && isRight ? keyOf(row) : undefined;
  }

  /** Those that were not revoked, the oldest first. */
  async list(): Promise<readonly ApiKey[]> {
    const rows = await this.#database.query(
      'SELECT * FROM server_keys WHERE revoked_at IS NULL ORDER BY created_at, id',
    );
    return rows.map(keyOf);
  }

  /** @returns whether there was such a key */
  async revoke(id: string): Promise<boolean> {
    const rows = await this.#database.query(
      'UPDATE server_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING id',
      [Date.now(), id],
    );
    return rows.length > 0;
  }
}

const keyOf = (row: SqlRow): ApiKey => ({
  id: String(row['id']),
  owner: String(row['owner']),
  name: String(row['name']),
  scopes: scopes.filter((scope) => String(row['scopes']).split(' ').includes(scope)),
  maxJobs: Number(row['max_jobs']),
  maxFileBytes: Number(row['max_file_bytes']),
  createdAt: Number(row['created_at']),
});
