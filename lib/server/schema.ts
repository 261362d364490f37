import type { Database } from '../jobs/database.js';
import { migrate, type Migration } from '../jobs/migrate.js';

/** Tables of a server, beside those of its jobs; times are milliseconds since 1970. Once released, statements stay. */
const migrations: readonly Migration[] = [
  {
    version: 1,
    statements: [
      // Of a key only a salted hash is kept; `lookup`, the start of another hash, finds the row.
      `CREATE TABLE server_keys (
        id TEXT PRIMARY KEY,
        lookup TEXT NOT NULL UNIQUE,
        salt TEXT NOT NULL,
        hash TEXT NOT NULL,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        max_jobs BIGINT NOT NULL,
        max_file_bytes BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        revoked_at BIGINT
      )`,
      `CREATE TABLE server_files (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        filename TEXT NOT NULL,
        num_bytes BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        kind TEXT NOT NULL,
        num_records BIGINT NOT NULL,
        created_at BIGINT NOT NULL
      )`,
      `CREATE INDEX server_files_by_owner ON server_files (owner, created_at, id)`,
      `CREATE TABLE server_audit (
        id TEXT PRIMARY KEY,
        created_at BIGINT NOT NULL,
        key_id TEXT NOT NULL,
        owner TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        status BIGINT NOT NULL
      )`,
      `CREATE INDEX server_audit_by_time ON server_audit (created_at)`,
    ],
  },
];

/**
 * Makes the tables of a server, or brings those that are there up to date.
 * @throws ERR_COMPACT_STORE where they are of a newer version, or the database cannot be used
 */
export const migrateServer = (database: Database): Promise<void> => migrate(database, 'server', migrations);
