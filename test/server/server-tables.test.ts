/** Keys and files on every database that a server may have. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Database } from '../../lib/jobs/database.js';
import { AuditLog } from '../../lib/server/audit-log.js';
import { FileStore, type StoredFile } from '../../lib/server/files/file-store.js';
import { KeyStore } from '../../lib/server/index.js';
import { migrateServer } from '../../lib/server/schema.js';
import { databaseKinds, type DatabaseSource } from '../helpers/job-databases.js';

const limits = { fileBytes: 1000, lineBytes: 1000, fileLines: 100 };

describe.each(databaseKinds)('$name', (kind) => {
  let source: DatabaseSource | undefined;
  let database: Database;
  let folder: string;

  beforeAll(async () => {
    source = await kind.start();
    if (source === undefined) return; // it has said why
    folder = mkdtempSync(join(tmpdir(), 'compact-tables-'));
    database = await source.open(await source.place());
    await migrateServer(database);
  });
  afterAll(async () => {
    if (source === undefined) return;
    await database.close();
    await source.stop();
    rmSync(folder, { recursive: true });
  });

  test('tables are made once', async () => {
    if (source === undefined) return;
    await expect(migrateServer(database)).resolves.toBeUndefined();
  });

  test('a key is found by its text, until it is revoked', async () => {
    if (source === undefined) return;
    const keys = new KeyStore(database);
    const { key, secret } = await keys.create({ owner: 'ä', name: 'first', maxFileBytes: 2 ** 45 });
    expect(await keys.find(secret)).toEqual(key);
    expect(await keys.find(`${secret}x`)).toBeUndefined();
    expect(await keys.list()).toEqual([key]);
    expect([await keys.revoke(key.id), await keys.revoke(key.id)]).toEqual([true, false]);
    expect(await keys.find(secret)).toBeUndefined();
  });

  test('files are listed in both orders, bounded, and removed', async () => {
    if (source === undefined) return;
    const files = await FileStore.open(folder, database);
    const key = { owner: 'me', maxFileBytes: 60 };
    const add = async (text: string): Promise<StoredFile> => {
      const content = `${JSON.stringify({ text })}\n`;
      await using file = await files.receive(Readable.from([Buffer.from(content)]), 'a.jsonl', limits);
      return await files.keep(file, 'a.jsonl', key as Parameters<typeof files.keep>[2]);
    };
    const kept = [await add('one'), await add('two'), await add('three')];
    await expect(add('four')).rejects.toMatchObject({ code: 'storage_limit' });
    const page = async (isAscending: boolean, after?: string): Promise<readonly string[]> => {
      const { items } = await files.list('me', { isAscending, limit: 2, ...(after && { after }) });
      return items.map(({ id }) => id);
    };
    const ids = kept.map(({ id }) => id).toSorted();
    expect([...(await page(true)), ...(await page(true, ids[1]))]).toEqual(ids);
    expect([...(await page(false)), ...(await page(false, ids[1]))]).toEqual(ids.toReversed());
    expect(await files.get(ids[0]!, 'others')).toBeUndefined();
    await files.remove(kept[0]!);
    expect((await add('four')).numBytes).toBe(16);
    expect(readdirSync(folder)).toHaveLength(3);
  });

  test('what was done is kept for a while', async () => {
    if (source === undefined) return;
    const { key } = await new KeyStore(database).create();
    const audit = new AuditLog(database);
    await audit.add({ key, action: 'POST /v1/files', subject: '', status: 200 });
    await database.query('UPDATE server_audit SET created_at = 0');
    await audit.add({ key, action: 'DELETE /v1/files/:id', subject: 'file-a', status: 200 });
    await audit.removeOld();
    expect(await database.query('SELECT action, subject, status FROM server_audit')).toEqual([
      { action: 'DELETE /v1/files/:id', subject: 'file-a', status: 200 },
    ]);
  });
});
