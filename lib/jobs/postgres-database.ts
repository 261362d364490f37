import { setTimeout as sleep } from 'node:timers/promises';
import type * as postgres from 'pg';
import { compactError, isCompactError } from '../errors.js';
import { checkParameters, closedError } from './database.js';
import type { Database, SqlRow, SqlValue, Transaction } from './database.js';
import { optionalPackage } from './optional-package.js';
import { isPassing, isRefusal, postgresError } from './postgres-errors.js';

/** Tries of what the server gave up or was away for, and the wait before the second one, which doubles from then on. */
const defaultTries = 8;
const firstWaitMs = 100;

/**
 * A server that takes longer to answer is taken for one that is away; and it ends, for its part, a transaction that goes on
 * for no reason, so that a process that stands still keeps no rows from others.
 */
const answerMs = 60_000;
const connectMs = 10_000;

/** The SQL type of whole numbers of 64 bits: ours are all within those that a double holds. */
const bigintType = 20;

/**
 * PostgreSQL 13 or later, which servers may share. A transaction that the server gave up for another's sake, or that was lost
 * with its connection, is done again; of a commit that got no answer the server is asked what became of it.
 */
export class PostgresDatabase implements Database {
  readonly isShared = true;
  readonly #pool: postgres.Pool;
  readonly #maxTries: number;
  readonly #begun = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor(pool: postgres.Pool, maxTries: number) {
    this.#pool = pool;
    this.#maxTries = maxTries;
  }

  /**
   * @param url `postgresql://user:password@host:port/database`
   * @param options.maxTries for tests
   * @throws ERR_COMPACT_CONFIG_VALUE for another URL, ERR_COMPACT_STORE when the server cannot be reached within some
   *   seconds, ERR_COMPACT_PACKAGE_MISSING
   */
  static async open(
    url: string,
    { maxTries = defaultTries }: { readonly maxTries?: number } = {},
  ): Promise<PostgresDatabase> {
    checkUrl(url);
    const pg = optionalPackage('pg', 'a PostgreSQL database', () => require('pg') as typeof postgres);
    const database = new PostgresDatabase(newPool(pg, url), maxTries);
    try {
      await database.query('SELECT 1 AS one');
      return database;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  query(sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    return this.transaction((transaction) => transaction.query(sql, parameters));
  }

  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const result = this.#persist(work);
    this.#begun.add(result);
    const forget = (): unknown => this.#begun.delete(result);
    result.then(forget, forget);
    return result;
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#begun).then(() => this.#pool.end());
    return this.#closing;
  }

  async #persist<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const outcome = await this.#attempt(work);
      if (outcome.is === 'done') return outcome.result;
      if (outcome.is === 'unanswered' && (await this.#wasCommitted(outcome.id))) return outcome.result;
      const { error } = outcome;
      const mayPass = isCompactError(error, 'ERR_COMPACT_STORE') && isPassing(error.cause);
      if (!mayPass || tries === this.#maxTries) throw error;
      await sleep(firstWaitMs * 2 ** (tries - 1));
    }
  }

  async #attempt<T>(work: (transaction: Transaction) => Promise<T>): Promise<Outcome<T>> {
    let client: postgres.PoolClient;
    try {
      client = await onServer(() => this.#pool.connect());
    } catch (error) {
      return { is: 'undone', error };
    }
    const outcome = await transact(client, work);
    const isUsable =
      outcome.is === 'done' ||
      (outcome.is === 'undone' && canGoOn(outcome.error) && (await hasRolledBack(client)));
    client.release(!isUsable);
    return outcome;
  }

  async #wasCommitted(id: SqlValue): Promise<boolean> {
    for (let tries = 1; tries <= this.#maxTries; tries++) {
      const [row] = await this.#persist((transaction) =>
        transaction.query('SELECT pg_xact_status(CAST($1 AS xid8)) AS status', [id]),
      );
      if (row!.status !== 'in progress') return row!.status === 'committed';
      await sleep(firstWaitMs * 2 ** (tries - 1));
    }
    throw postgresError(new Error('a commit is neither done nor given up'));
  }
}

type Outcome<T> =
  | { readonly is: 'done'; readonly result: T }
  | { readonly is: 'undone'; readonly error: unknown }
  /** The connection was lost while the transaction with this number was committed: done or undone. */
  | { readonly is: 'unanswered'; readonly result: T; readonly id: SqlValue; readonly error: unknown };

async function transact<T>(
  client: postgres.PoolClient,
  work: (transaction: Transaction) => Promise<T>,
): Promise<Outcome<T>> {
  let result: T;
  let id: SqlValue;
  try {
    await run(client, 'BEGIN');
    result = await work({ query: (sql, parameters) => run(client, sql, parameters) });
    // Null where nothing was written.
    const [row] = await run(client, 'SELECT CAST(pg_current_xact_id_if_assigned() AS TEXT) AS id');
    id = row!.id!;
  } catch (error) {
    return { is: 'undone', error };
  }
  try {
    await run(client, 'COMMIT');
    return { is: 'done', result };
  } catch (error) {
    return canGoOn(error) || id === null ? { is: 'undone', error } : { is: 'unanswered', result, id, error };
  }
}

/** @throws ERR_COMPACT_CONFIG_VALUE; the URL may hold a password, and is not repeated */
function checkUrl(url: string): void {
  if (URL.canParse(url) && /^postgres(ql)?:$/.test(new URL(url).protocol)) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', 'the address of a PostgreSQL database is not possible', {
    op: 'database',
    expected: 'postgresql://user:password@host:port/database',
  });
}

function newPool({ Pool, types }: typeof postgres, url: string): postgres.Pool {
  const getTypeParser = ((type: number, format: 'text') =>
    type === bigintType ? Number : types.getTypeParser(type, format)) as typeof types.getTypeParser;
  const pool = new Pool({
    connectionString: url,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    idle_in_transaction_session_timeout: answerMs,
    keepAlive: true,
    types: { getTypeParser },
  });
  // A connection that is lost while nothing is asked of it: the next question finds that out, or the pool leaves it.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

async function run(
  client: postgres.PoolClient,
  sql: string,
  parameters: readonly SqlValue[] = [],
): Promise<readonly SqlRow[]> {
  checkParameters(parameters);
  const { rows } = await onServer(() => client.query<SqlRow>(sql, [...parameters]));
  return rows;
}

/** What the package throws becomes a typed error. */
async function onServer<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw postgresError(error);
  }
}

const hasRolledBack = (client: postgres.PoolClient): Promise<boolean> =>
  client.query('ROLLBACK').then(
    () => true,
    () => false,
  );

/** Whether an error leaves the connection as it is: it is the work's, or the server refused a statement. */
const canGoOn = (error: unknown): boolean =>
  !isCompactError(error, 'ERR_COMPACT_STORE') || error.cause === undefined || isRefusal(error.cause);
