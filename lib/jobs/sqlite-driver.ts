import type * as wasm from 'node-sqlite3-wasm';
import { optionalPackage } from './optional-package.js';
import type { SqlRow, SqlValue } from './database.js';

/** SQLite itself. Both calls throw errors of the driver's own. */
export interface SqliteDriver {
  query(sql: string, parameters: readonly SqlValue[]): readonly SqlRow[];
  close(): void;
}

/** 'node' has newer versions of Node alone; 'wasm' is the package node-sqlite3-wasm. */
export type SqliteDriverName = 'node' | 'wasm';

export const isInNode = (): boolean => process.getBuiltinModule('node:sqlite') !== undefined;

/**
 * Opens a file, which is made where there is none.
 * @throws ERR_COMPACT_PACKAGE_MISSING, and errors of the driver's own
 */
export const openSqliteDriver = (name: SqliteDriverName, path: string): SqliteDriver =>
  name === 'node' ? openNode(path) : openWasm(path);

/** The part of node:sqlite that is used, which the oldest Node that runs this has no types of. */
interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => {
    prepare(sql: string): { all(parameters: Readonly<Record<string, SqlValue>>): SqlRow[] };
    close(): void;
  };
}

function openNode(path: string): SqliteDriver {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite') as unknown as NodeSqlite;
  const database = new DatabaseSync(path);
  return {
    // Copies, for these rows have no prototype, unlike those of the other drivers.
    query: (sql, parameters) =>
      database
        .prepare(sql)
        .all(named(parameters))
        .map((row) => ({ ...row })),
    close: () => database.close(),
  };
}

function openWasm(path: string): SqliteDriver {
  const { Database } = optionalPackage(
    'node-sqlite3-wasm',
    'SQLite before Node 22.13',
    () => require('node-sqlite3-wasm') as typeof wasm,
  );
  const database = new Database(path);
  return {
    query: (sql, parameters) => database.all(sql, named(parameters)) as SqlRow[],
    close: () => database.close(),
  };
}

/** To SQLite `$1` is a name like any other. */
const named = (parameters: readonly SqlValue[]): Record<string, SqlValue> =>
  Object.fromEntries(parameters.map((value, i) => [`$${i + 1}`, value]));
