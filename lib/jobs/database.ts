import { compactError } from '../errors.js';
import { shown } from '../options.js';

/**
 * The little of SQL that the stores here use, so that they hold for SQLite and PostgreSQL alike: parameters are `$1`, `$2`,
 * ..., rows have the names of their columns, and of values there are whole numbers, texts and null. What a statement that
 * changes rows has to tell it tells by RETURNING.
 */
export type SqlValue = number | string | null;
/** Of a statement: values by the names of their columns. */
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** Statements that are done together, or not at all. */
export interface Transaction {
  /**
   * Rows of one statement; none where it returns none.
   * @throws ERR_COMPACT_STORE, ERR_COMPACT_ARGUMENT for a value that not every database keeps as it is
   */
  query(sql: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
}

/** SQLite or PostgreSQL. */
export interface Database extends Transaction {
  /** Whether other servers may be joined to the same database: each row is claimed by one of them alone. */
  readonly isShared: boolean;
  /**
   * All of what the work does, or nothing of it when it throws. What was done is on the disk when this returns. The work
   * may be done again, where the database gave up what it had done, and uses the transaction that it is given alone.
   * @throws ERR_COMPACT_STORE when the database cannot be read or written, ERR_COMPACT_DISPOSED, and what the work throws
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Waits for the transactions that have been begun. */
  close(): Promise<void>;
}

/**
 * Refuses what would come back as something else: SQLite ends a text at a NUL, PostgreSQL takes none, and neither has
 * halves of characters.
 * @throws ERR_COMPACT_ARGUMENT
 */
export function checkParameters(parameters: readonly SqlValue[]): void {
  for (const value of parameters) {
    const isKept =
      typeof value === 'string'
        ? value.isWellFormed() && !value.includes('\0')
        : value === null || Number.isSafeInteger(value);
    if (isKept) continue;
    throw compactError('ERR_COMPACT_ARGUMENT', 'a value cannot be kept in a database', {
      expected: 'a whole number, or Unicode text without NUL',
      received: shown(value),
    });
  }
}

/** Of calls after `close`. */
export const closedError = (): Error =>
  compactError('ERR_COMPACT_DISPOSED', 'the database is closed', { op: 'Database' });

/** `($1, $2), ($3, $4)`: places of the parameters of so many rows. */
export const placeholders = (numRows: number, numColumns: number): string =>
  Array.from({ length: numRows }, (_, row) => {
    const names = Array.from({ length: numColumns }, (_, column) => `$${row * numColumns + column + 1}`);
    return `(${names.join(', ')})`;
  }).join(', ');
