import { compactError } from '../errors.js';
import type { Database } from '../jobs/database.js';
import { serverMigrations } from './schema.js';

/**
 * Brings the tables of a server to their newest form, all of it or nothing.
 * @throws ERR_COMPACT_STORE where they were written by a newer version, or the database cannot be used
 */
export async function migrateServer(database: Database): Promise<void> {
  const newest = serverMigrations.at(-1)!.version;
  await database.transaction(async (transaction) => {
    await transaction.query(
      'CREATE TABLE IF NOT EXISTS server_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)',
    );
    await transaction.query(
      'INSERT INTO server_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING',
    );
    const [row] = await transaction.query('SELECT version FROM server_version WHERE id = 1');
    const version = Number(row!['version']);
    if (version > newest)
      throw compactError('ERR_COMPACT_STORE', 'the tables of the server were written by a newer version', {
        op: 'database',
        expected: `version ${newest} or an older one`,
        received: String(version),
        remedy: 'Update compact-train, or use another data directory',
      });
    for (const migration of serverMigrations.filter((one) => one.version > version))
      for (const statement of migration.statements) await transaction.query(statement);
    await transaction.query('UPDATE server_version SET version = $1 WHERE id = 1', [newest]);
  });
}
