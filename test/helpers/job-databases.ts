import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../lib/jobs/database.js';
import { PostgresDatabase } from '../../lib/jobs/postgres-database.js';
import { SqliteDatabase } from '../../lib/jobs/sqlite-database.js';
import { isInNode } from '../../lib/jobs/sqlite-driver.js';
import { PostgresServer } from './postgres-server.js';

/** Databases of one kind, each new and empty, and gone after the test file. */
export interface DatabaseKind {
  readonly name: string;
  /** As processes of their own name it (`startStoreChild`). */
  readonly driver: string;
  /** @returns undefined, and says why, where this machine has none */
  start(): Promise<DatabaseSource | undefined>;
}

export interface DatabaseSource {
  /** Where a new one is. */
  place(): Promise<string>;
  open(place: string): Promise<Database>;
  stop(): Promise<void>;
}

/** The drivers of SQLite that this version of Node can have. */
export const sqliteDrivers = isInNode() ? (['node', 'wasm'] as const) : (['wasm'] as const);

export const databaseKinds: readonly DatabaseKind[] = [
  ...sqliteDrivers.map((driver) => ({
    name: `SQLite (${driver})`,
    driver,
    start: async () => {
      const folder = mkdtempSync(join(tmpdir(), 'compact-jobs-'));
      let count = 0;
      return {
        place: async () => join(folder, String(++count), 'jobs.sqlite'),
        open: (place: string) => SqliteDatabase.open(place, { driver }),
        stop: async () => rmSync(folder, { recursive: true }),
      };
    },
  })),
  {
    name: 'PostgreSQL',
    driver: 'postgres',
    start: async () => {
      const server = await PostgresServer.start();
      if (typeof server === 'string') {
        console.warn(`skipped: ${server}`);
        return undefined;
      }
      return {
        place: () => server.newDatabase(),
        open: (place: string) => PostgresDatabase.open(place),
        stop: () => server.stop(),
      };
    },
  },
];
