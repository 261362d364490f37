import { join } from 'node:path';
import { JobQueue, type JobQueueOptions } from '../jobs/index.js';
import type { Database } from '../jobs/database.js';
import { PostgresDatabase } from '../jobs/postgres-database.js';
import { SqlJobStore } from '../jobs/sql-job-store.js';
import { SqliteDatabase } from '../jobs/sqlite-database.js';
import { migrateServer } from './schema.js';

/**
 * The database of a server, with its tables: a file in its folder of data, or PostgreSQL, which servers may share that see
 * the same folder.
 * @param url `postgresql://user:password@host:port/database`; left out: the file
 * @throws ERR_COMPACT_STORE, ERR_COMPACT_OUTPUT_LOCKED when another server uses the folder, ERR_COMPACT_CONFIG_VALUE,
 *   ERR_COMPACT_PACKAGE_MISSING
 */
export async function openServerDatabase(dataDirectory: string, url?: string): Promise<Database> {
  const database =
    url === undefined
      ? await SqliteDatabase.open(join(dataDirectory, 'server.sqlite'))
      : await PostgresDatabase.open(url);
  try {
    await migrateServer(database);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/**
 * The jobs of a server, of which the first ones begin at once.
 * @throws ERR_COMPACT_STORE, ERR_COMPACT_CONFIG_*
 */
export async function openJobService(
  dataDirectory: string,
  database: Database,
  options: Omit<JobQueueOptions, 'store' | 'directory'> = {},
): Promise<JobQueue> {
  const store = await SqlJobStore.open(database);
  return JobQueue.open({ ...options, store, directory: dataDirectory });
}
