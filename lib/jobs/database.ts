/**
 * The little of SQL that the stores here use, so that they hold for SQLite and PostgreSQL alike: parameters are `$1`, `$2`,
 * ..., rows have the names of their columns, and of values there are whole numbers, texts and null.
 */
export type SqlValue = number | string | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface Transaction {
  /** Rows of one statement; none where it returns none. */
  query(sql: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
}

export interface Database extends Transaction {
  /** Whether other servers may be joined to the same database: each row is claimed by one of them alone. */
  readonly isShared: boolean;
  /**
   * All of what the work does, or nothing of it when it throws. What was done is on the disk when this returns.
   * @throws ERR_COMPACT_STORE when the database cannot be read or written
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
