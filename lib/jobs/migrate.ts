import { compactError } from '../errors.js';
import type { Database } from './database.js';

/** Statements that bring tables from the version before to this one. Versions count from 1. */
export interface Migration {
  readonly version: number;
  readonly statements: readonly string[];
}

/** A number of ours among the locks that a shared database knows by number. */
const lockNumber = 7_301_846_204;

/**
 * Makes the tables of one part of a database, or brings those that are there up to date: all of it or nothing.
 * @param part whose tables they are; each part counts versions of its own
 * @param migrations in the order of their versions
 * @throws ERR_COMPACT_STORE when the tables are of a newer version than the last migration
 */
export async function migrate(
  database: Database,
  part: string,
  migrations: readonly Migration[],
): Promise<void> {
  await database.transaction(async (transaction) => {
    // Of servers that begin together one makes the tables, and the others find them.
    if (database.isShared) await transaction.query('SELECT pg_advisory_xact_lock($1)', [lockNumber]);
    await transaction.query(
      'CREATE TABLE IF NOT EXISTS compact_schemas (part TEXT PRIMARY KEY, version BIGINT NOT NULL)',
    );
    const [row] = await transaction.query('SELECT version FROM compact_schemas WHERE part = $1', [part]);
    const found = Number(row?.version ?? 0);
    const latest = migrations.at(-1)?.version ?? 0;
    if (found > latest) throw newer(part, found, latest);
    for (const { version, statements } of migrations) {
      if (version <= found) continue;
      for (const statement of statements) await transaction.query(statement);
    }
    await transaction.query(
      `INSERT INTO compact_schemas (part, version) VALUES ($1, $2)
       ON CONFLICT (part) DO UPDATE SET version = excluded.version`,
      [part, latest],
    );
  });
}

const newer = (part: string, found: number, latest: number): Error =>
  compactError('ERR_COMPACT_STORE', `the database was written by a newer version of compact-train`, {
    op: part,
    expected: `tables of ${part} of version ${latest} or before`,
    received: `version ${found}`,
    remedy: 'Install that version again, or give this one a database of its own',
  });
