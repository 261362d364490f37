import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { RecordKind } from '../../data/records/index.js';
import { makeFolders, onPath, removeLeftovers, temporaryName } from '../../formats/index.js';
import type { Database, SqlRow } from '../../jobs/database.js';
import type { Page } from '../../jobs/job-store.js';
import { ApiError } from '../api-error.js';
import type { ApiKey } from '../keys/key-store.js';
import { OneAtATime } from '../one-at-a-time.js';
import { sortableId } from '../sortable-id.js';
import { checkRecords, type CheckedRecords } from './check-records.js';
import { receiveFile, type FileLimits, type ReceivedFile } from './receive-file.js';

/** A file that a client has uploaded. */
export interface StoredFile extends ReceivedFile, CheckedRecords {
  readonly id: string;
  readonly owner: string;
  /** As the client called it: data, and never part of a path. */
  readonly filename: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** A file that was received and checked, but belongs to nobody yet. */
export interface NewFile extends ReceivedFile, CheckedRecords, AsyncDisposable {
  readonly path: string;
}

/** What lies in the folder for so long without a row in the database is left over from a server that was killed. */
const orphanMs = 3600 * 1000;

/** Uploaded files: their bytes in a folder, under ids of ours, and what is known of them in a database. */
export class FileStore {
  readonly #folder: string;
  readonly #database: Database;
  readonly #owners = new OneAtATime();

  private constructor(folder: string, database: Database) {
    this.#folder = folder;
    this.#database = database;
  }

  /** @throws ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_STORE */
  static async open(folder: string, database: Database): Promise<FileStore> {
    await onPath('ERR_COMPACT_CHECKPOINT_WRITE', folder, () => makeFolders(folder));
    await removeLeftovers(folder);
    const store = new FileStore(folder, database);
    await store.#removeOrphans();
    return store;
  }

  /** Where a file's bytes are. Its id is one that was read from the database. */
  path({ id }: StoredFile): string {
    return join(this.#folder, id);
  }

  /**
   * Writes and checks what comes; unless it is kept, it goes with its disposal.
   * @throws ApiError file_too_large, invalid_file_format
   */
  async receive(stream: Readable, filename: string, limits: FileLimits): Promise<NewFile> {
    const path = join(this.#folder, temporaryName('upload'));
    const remove = (): Promise<void> => rm(path, { force: true });
    try {
      const received = await onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, () =>
        receiveFile(path, stream, limits),
      );
      const records = await checkRecords(path, filename);
      return { path, ...received, ...records, [Symbol.asyncDispose]: remove };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /**
   * Keeps a file that was received, for the owner of a key.
   * @throws ApiError storage_limit
   */
  keep(file: NewFile, filename: string, { owner, maxFileBytes }: ApiKey): Promise<StoredFile> {
    return this.#owners.do(owner, async () => {
      await this.checkRoom({ owner, maxFileBytes }, file.numBytes);
      const { numBytes, sha256, kind, numRecords } = file;
      const now = Date.now();
      const id = sortableId('file', now);
      const stored = { id, owner, filename, numBytes, sha256, kind, numRecords, createdAt: now };
      const path = this.path(stored);
      await onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, () => rename(file.path, path));
      try {
        await this.#database.query(
          `INSERT INTO server_files
            (id, owner, filename, num_bytes, sha256, kind, num_records, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
          [id, owner, filename, numBytes, sha256, kind, numRecords, now],
        );
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      }
      return stored;
    });
  }

  /** @throws ApiError storage_limit where so many more bytes would be too many */
  async checkRoom(
    { owner, maxFileBytes }: Pick<ApiKey, 'owner' | 'maxFileBytes'>,
    numBytes: number,
  ): Promise<void> {
    const [row] = await this.#database.query(
      'SELECT CAST(COALESCE(SUM(num_bytes), 0) AS BIGINT) AS total FROM server_files WHERE owner = $1',
      [owner],
    );
    const usedBytes = Number(row!['total']);
    if (usedBytes + numBytes <= maxFileBytes) return;
    throw new ApiError(
      'storage_limit',
      `Files of this key may have ${maxFileBytes} bytes together, and have ${usedBytes}. Delete some first`,
      { param: 'file', details: { usedBytes, maxBytes: maxFileBytes } },
    );
  }

  /** Undefined for a file of somebody else as for one that does not exist. */
  async get(id: string, owner: string): Promise<StoredFile | undefined> {
    const [row] = await this.#database.query('SELECT * FROM server_files WHERE id = $1 AND owner = $2', [
      id,
      owner,
    ]);
    return row && fileOf(row);
  }

  /** @throws ApiError file_not_found where there is no file `after` */
  async list(
    owner: string,
    { after, limit, isAscending }: { after?: string; limit: number; isAscending: boolean },
  ): Promise<Page<StoredFile>> {
    const last = after === undefined ? undefined : await this.get(after, owner);
    if (after !== undefined && last === undefined)
      throw new ApiError('file_not_found', 'There is no file to go on after', { param: 'after' });
    const [sign, order] = isAscending ? ['>', 'ASC'] : ['<', 'DESC'];
    const from = last && `AND (created_at ${sign} $3 OR (created_at = $3 AND id ${sign} $4))`;
    const rows = await this.#database.query(
      `SELECT * FROM server_files WHERE owner = $1 ${from ?? ''}
        ORDER BY created_at ${order}, id ${order} LIMIT $2`,
      [owner, limit + 1, ...(last ? [last.createdAt, last.id] : [])],
    );
    return { items: rows.slice(0, limit).map(fileOf), hasMore: rows.length > limit };
  }

  /** Removes a file that is retired (`JobService.retire`). */
  async remove(file: StoredFile): Promise<void> {
    await this.#database.query('DELETE FROM server_files WHERE id = $1', [file.id]);
    // What is left over when this fails goes at a later start.
    await rm(this.path(file), { force: true }).catch(() => undefined);
  }

  async #removeOrphans(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (!name.startsWith('file-')) continue;
      const [row] = await this.#database.query('SELECT id FROM server_files WHERE id = $1', [name]);
      const path = join(this.#folder, name);
      const written = await stat(path).catch(() => undefined);
      if (row !== undefined || written === undefined || Date.now() - written.mtimeMs < orphanMs) continue;
      await rm(path, { force: true }).catch(() => undefined);
    }
  }
}

const fileOf = (row: SqlRow): StoredFile => ({
  id: String(row['id']),
  owner: String(row['owner']),
  filename: String(row['filename']),
  numBytes: Number(row['num_bytes']),
  sha256: String(row['sha256']),
  kind: row['kind'] as RecordKind,
  numRecords: Number(row['num_records']),
  createdAt: Number(row['created_at']),
});
