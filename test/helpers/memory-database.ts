/** A database in memory, so that tests of what stands on SQL need no file and no server. */
import type { Database, SqlRow, SqlValue, Transaction } from '../../lib/jobs/database.js';

interface Driver {
  exec(sql: string): void;
  all(sql: string, values?: Readonly<Record<string, SqlValue>>): SqlRow[];
  close(): void;
}

/** SQLite's, one transaction after the other. */
export class MemoryDatabase implements Database {
  readonly isShared = false;
  readonly #driver: Driver;
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    const { Database: Sqlite } = require('node-sqlite3-wasm') as { Database: new (path: string) => Driver };
    this.#driver = new Sqlite(':memory:');
  }

  query(sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    return this.#inTurn(() => Promise.resolve(this.#all(sql, parameters)));
  }

  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      this.#driver.exec('BEGIN IMMEDIATE');
      try {
        const result = await work({ query: async (sql, parameters = []) => this.#all(sql, parameters) });
        this.#driver.exec('COMMIT');
        return result;
      } catch (error) {
        this.#driver.exec('ROLLBACK');
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => this.#driver.close());
  }

  #all(sql: string, parameters: readonly SqlValue[]): readonly SqlRow[] {
    const named = Object.fromEntries(parameters.map((value, i) => [`$${i + 1}`, value]));
    return this.#driver.all(sql, named);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine;
    return mine;
  }
}
