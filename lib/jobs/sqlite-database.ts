import { rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { compactError, isCompactError } from '../errors.js';
import { syncFolder, systemCode } from '../formats/index.js';
import { FolderLock } from '../train/checkpoints/folder-lock.js';
import type { FolderUse } from '../train/checkpoints/folder-lock.js';
import { checkParameters, closedError } from './database.js';
import type { Database, SqlRow, SqlValue, Transaction } from './database.js';
import { isInNode, openSqliteDriver } from './sqlite-driver.js';
import type { SqliteDriver, SqliteDriverName } from './sqlite-driver.js';

const dataFolder: FolderUse = {
  fileName: 'server.lock',
  holder: 'server',
  op: 'dataDirectory',
  unusable: {
    code: 'ERR_COMPACT_STORE',
    as: 'a folder of data',
    remedy: 'Choose a folder that this user may write to, on a disk that has space left',
  },
  whenHeld:
    'Choose another folder of data, or end that server: its lock goes with it, and no file has to be removed',
  whenLost:
    'This server stood still for too long, on a file system without locks: end it, and the other goes on',
};

/**
 * The file is this process's alone, so the index of the log is held in memory and not in a file that others map, which
 * not every driver can. `auto_vacuum` has to come before the first page is written.
 */
const settings = [
  'locking_mode = EXCLUSIVE',
  'auto_vacuum = FULL',
  'journal_mode = WAL',
  'synchronous = FULL',
  // On macOS alone: waits for the disk itself, not only for its memory.
  'fullfsync = ON',
  'checkpoint_fullfsync = ON',
  `journal_size_limit = ${2 ** 22}`,
  'foreign_keys = ON',
];

/**
 * One file, for one process: the folder that it lies in is locked as long as the database is open. Transactions are done one
 * after the other; each is on the disk when it has returned.
 */
export class SqliteDatabase implements Database {
  readonly isShared = false;
  readonly #path: string;
  readonly #driver: SqliteDriver;
  readonly #lock: FolderLock;
  /** What was begun last. Never fails. */
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(path: string, driver: SqliteDriver, lock: FolderLock) {
    this.#path = path;
    this.#driver = driver;
    this.#lock = lock;
  }

  /**
   * Opens the file, which is made with its folder where there is none.
   * @param options.driver for tests; by default Node's own where it has one
   * @throws ERR_COMPACT_STORE, ERR_COMPACT_OUTPUT_LOCKED when another process uses the folder, ERR_COMPACT_PACKAGE_MISSING
   */
  static async open(
    file: string,
    { driver = isInNode() ? 'node' : 'wasm' }: { readonly driver?: SqliteDriverName } = {},
  ): Promise<SqliteDatabase> {
    const path = resolve(file);
    const lock = await FolderLock.acquire(dirname(path), dataFolder);
    try {
      const opened = await openFile(path, driver);
      lock.keep();
      return new SqliteDatabase(path, opened, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  query(sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    return this.#inTurn(async () => this.#query(sql, parameters));
  }

  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const query = async (sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> =>
      this.#query(sql, parameters);
    return this.#inTurn(async () => {
      this.#query('BEGIN IMMEDIATE');
      try {
        const result = await work({ query });
        this.#query('COMMIT');
        return result;
      } catch (error) {
        this.#rollBack();
        throw error;
      }
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#last;
    try {
      onFile(this.#path, () => this.#driver.close());
    } finally {
      await this.#lock.release();
    }
  }

  /** One after the other: what one transaction awaits, no other comes between. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const result = this.#last.then(() => {
      this.#lock.check();
      return work();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  #query(sql: string, parameters: readonly SqlValue[] = []): readonly SqlRow[] {
    checkParameters(parameters);
    return onFile(this.#path, () => this.#driver.query(sql, parameters));
  }

  #rollBack(): void {
    try {
      this.#driver.query('ROLLBACK', []);
    } catch {
      // Where the disk failed, SQLite has done so itself.
    }
  }
}

async function openFile(path: string, name: SqliteDriverName): Promise<SqliteDriver> {
  // One driver locks by making a folder, which stays when a process is killed. Nobody else can hold it: see FolderLock.
  await rmdir(`${path}.lock`).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw storeError(path, error);
  });
  const driver = onFile(path, () => openSqliteDriver(name, path));
  try {
    onFile(path, () => {
      for (const setting of settings) driver.query(`PRAGMA ${setting}`, []);
      // Tells whether the file can be written, and makes its log: both names have to be on the disk before what is in them.
      for (const statement of ['BEGIN IMMEDIATE', 'COMMIT']) driver.query(statement, []);
    });
    await syncFolder(dirname(path));
    // That of a new folder, too. One above that cannot be read was there before.
    await syncFolder(dirname(dirname(path))).catch(() => undefined);
    return driver;
  } catch (error) {
    closeQuietly(driver);
    throw isCompactError(error) ? error : storeError(path, error);
  }
}

/** After a failure, which is told instead. */
function closeQuietly(driver: SqliteDriver): void {
  try {
    driver.close();
  } catch {
    // What could not be opened may not be closed in order, either.
  }
}

/** What SQLite refuses becomes a typed error. */
function onFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isCompactError(error) ? error : storeError(path, error);
  }
}

function storeError(path: string, cause: unknown): Error {
  const received = cause instanceof Error ? cause.message : String(cause);
  const [, remedy] = remedies.find(([pattern]) => pattern.test(received)) ?? [];
  return compactError('ERR_COMPACT_STORE', `the database ${path} cannot be used`, {
    op: path,
    received,
    remedy: remedy ?? 'See the cause; what was accepted before is intact',
    cause,
  });
}

/** By what SQLite says, for not all drivers tell its codes. */
const remedies: readonly (readonly [said: RegExp, remedy: string])[] = [
  [/disk I\/O error|database or disk is full/, 'Check that the disk works and has space left; what was accepted before is intact'],
  [/readonly|open the database|unable to open/, 'Give this user the right to write the file, its folder and what lies beside it'],
  [/malformed|not a database/, 'Put back a copy of the file, or begin with a new one'],
]; // prettier-ignore
