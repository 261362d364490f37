import type { Database } from '../jobs/database.js';
import type { ApiKey } from './keys/key-store.js';
import { sortableId } from './sortable-id.js';

/** How long it is remembered who did what: 90 days. */
const rememberedMs = 90 * 24 * 3600 * 1000;

export interface AuditEntry {
  readonly key: ApiKey;
  /** Method and route, e.g. 'POST /v1/files'. */
  readonly action: string;
  /** The id that it was done to, or ''. */
  readonly subject: string;
  /** Of the answer. */
  readonly status: number;
}

/** Who changed or had made something, kept for 90 days. What is only read is not in it. */
export class AuditLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async add({ key, action, subject, status }: AuditEntry): Promise<void> {
    const now = Date.now();
    await this.#database.query(
      `INSERT INTO server_audit (id, created_at, key_id, owner, action, subject, status)
        VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      [sortableId('audit', now), now, key.id, key.owner, action, subject, status],
    );
  }

  async removeOld(): Promise<void> {
    await this.#database.query('DELETE FROM server_audit WHERE created_at < $1', [Date.now() - rememberedMs]);
  }
}
