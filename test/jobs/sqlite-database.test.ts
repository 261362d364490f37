/** The file of a database: whose it is, and what becomes of it when the disk refuses. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SqlJobStore } from '../../lib/jobs/sql-job-store.js';
import type { Fit } from '../../lib/jobs/device-memory.js';
import { SqliteDatabase } from '../../lib/jobs/sqlite-database.js';
import { sqliteDrivers } from '../helpers/job-databases.js';
import { message, metrics, plan, request, stepDone } from '../helpers/job-fixtures.js';
import { doJobs, startStoreChild } from '../helpers/store-child.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-sqlite-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const always = (): Fit => 'now';
const storeError = {
  code: 'ERR_COMPACT_STORE',
  remedy: expect.any(String),
  cause: expect.anything(),
};
const lockedError = { code: 'ERR_COMPACT_OUTPUT_LOCKED' };
const place = (): string => join(folder, 'data', 'jobs.sqlite');

/** All that the folder holds, but for the lock. */
const filesIn = (data: string): string[] => readdirSync(data).filter((name) => !name.endsWith('.lock'));

/** Paths of this process's open files, where the system tells. */
const openFiles = (): string[] => {
  const numbers = '/proc/self/fd';
  if (!existsSync(numbers)) return [];
  return readdirSync(numbers).flatMap((number) => {
    try {
      return [readlinkSync(join(numbers, number))];
    } catch {
      return []; // that of the list itself
    }
  });
};

/** Whether a process may have file systems of its own here. */
const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;
const skipWithoutMounts = (): boolean => {
  if (!canMount) console.warn('skipped: this machine does not allow file systems of a process of its own');
  return !canMount;
};

describe.each(sqliteDrivers)('SQLite (%s)', (driver) => {
  const open = (path = place()): Promise<SqliteDatabase> => SqliteDatabase.open(path, { driver });

  test('what was promised holds: every commit waits for the disk, and the file can shrink', async () => {
    const database = await open();
    const setting = async (name: string): Promise<unknown> =>
      Object.values((await database.query(`PRAGMA ${name}`))[0]!)[0];
    expect(await setting('journal_mode')).toBe('wal');
    expect(await setting('synchronous')).toBe(2);
    expect(await setting('locking_mode')).toBe('exclusive');
    expect(await setting('foreign_keys')).toBe(1);
    expect(await setting('auto_vacuum')).toBe(1);
    await database.close();
    expect(readdirSync(join(folder, 'data'))).toEqual(['jobs.sqlite']);
  });

  test('a second one is refused, in this process and in another, until the first is closed', async () => {
    const database = await open();
    await SqlJobStore.open(database);
    await expect(open()).rejects.toMatchObject({
      ...lockedError,
      message: expect.stringContaining(`process ${process.pid} on`),
      remedy: expect.stringContaining('end that server'),
    });
    const child = startStoreChild('await openDatabase();', { place: place(), driver });
    await child.ended;
    expect(child.lines).toMatchObject([{ error: lockedError }]);
    expect(await database.query('SELECT value FROM compact_job_sequence')).toEqual([{ value: 0 }]);
    await database.close();
    await (await open()).close();
  });

  test('what a process that was killed has left is no obstacle', async () => {
    const child = startStoreChild(doJobs, { place: place(), driver, request: request(), plan });
    await child.has(3);
    await expect(open()).rejects.toMatchObject(lockedError);
    child.process.kill('SIGKILL');
    expect(await child.ended).toBe('');
    // One driver leaves the folder by which it locks; either may find one that the other left.
    mkdirSync(`${place()}.lock`, { recursive: true });
    const database = await open();
    const store = await SqlJobStore.open(database);
    expect(await store.get(String(child.lines[0]!.id))).toMatchObject({ owner: 'alice' });
    await database.close();
    expect(filesIn(join(folder, 'data'))).toEqual(['jobs.sqlite']);
  });

  test.each([
    ['no database', Buffer.from('this is no database, and somebody may need it'.repeat(200))],
    ['a database without its end', undefined],
  ])('%s is refused and left as it is', async (_, given) => {
    await fill(await open(), 60);
    const content = given ?? readFileSync(place()).subarray(0, 5000);
    writeFileSync(place(), content);
    const read = async (): Promise<void> => {
      const database = await open();
      await using _ = { [Symbol.asyncDispose]: () => database.close() };
      await (await SqlJobStore.open(database)).list({ limit: 100 });
    };
    await expect(read()).rejects.toMatchObject({ ...storeError, remedy: expect.stringContaining('copy') });
    expect(readFileSync(place()).equals(content)).toBe(true);
    expect(openFiles().filter((path) => path.startsWith(folder))).toEqual([]);
    // Nothing holds the folder any more.
    writeFileSync(place(), '');
    await (await open()).close();
  });

  test('where no file can be made, it says so', async () => {
    writeFileSync(join(folder, 'file'), 'precious');
    await expect(open(join(folder, 'file', 'jobs.sqlite'))).rejects.toMatchObject(storeError);
    mkdirSync(place(), { recursive: true });
    await expect(open()).rejects.toMatchObject(storeError);
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'jobs.sqlite.lock'), 'precious');
    await expect(open(join(folder, 'other', 'jobs.sqlite'))).rejects.toMatchObject(storeError);
    expect(readFileSync(join(folder, 'other', 'jobs.sqlite.lock'), 'utf8')).toBe('precious');
  });

  test.each(['folder', 'file'])('where the %s is read only nothing is begun', async (what) => {
    if (skipWithoutMounts()) return;
    await fill(await open(), 1);
    const data = join(folder, 'data');
    const readOnly = what === 'file' ? place() : data;
    const before = readFileSync(place());
    const mount = `mount --bind ${readOnly} ${readOnly} && mount -o remount,bind,ro ${readOnly} && exec "$0" "$@"`;
    const child = startStoreChild('await openDatabase();', { place: place(), driver }, [
      ...['unshare', '-rm', 'bash', '-c', mount],
    ]);
    expect(await child.ended).toBe('');
    expect(child.lines).toMatchObject([{ error: { code: 'ERR_COMPACT_STORE', hasCause: true } }]);
    expect(readFileSync(place()).equals(before)).toBe(true);
    expect(readdirSync(data)).toEqual(['jobs.sqlite']);
  });

  test('on a full disk a change is refused, what was accepted is there, and it goes on when there is space', async () => {
    if (skipWithoutMounts()) return;
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    const mount = `mount -t tmpfs -o size=3m tmpfs ${disk} && exec "$0" "$@"`;
    const body = `
      const fs = require('node:fs');
      let database = await openDatabase();
      let store = await SqlJobStore.open(database);
      const ballast = place + '.ballast';
      fs.writeFileSync(ballast, Buffer.alloc(2 ** 21));
      const large = { ...request, details: { text: 'x'.repeat(10000) } };
      const made = [];
      let refusal;
      for (let i = 0; i < 200 && refusal === undefined; i++)
        await store.create(large, plan).then(({ id }) => made.push(id), (error) => (refusal = error));
      const found = async () => (await store.list({ limit: 1000 })).items.map(({ id }) => id).reverse();
      const isWhole = async () =>
        JSON.stringify(await found()) === JSON.stringify(made)
        && (await Promise.all(made.map((id) => store.events(id, { limit: 5 })))).every(({ length }) => length === 1);
      const whenFull = await isWhole();
      fs.rmSync(ballast);
      made.push((await store.create(large, plan)).id);
      const withSpace = await isWhole();
      await database.close();
      database = await openDatabase();
      store = await SqlJobStore.open(database);
      const afterwards = await isWhole();
      const check = (await database.query('PRAGMA integrity_check'))[0].integrity_check;
      say({ code: refusal.code, remedy: refusal.remedy, made: made.length, whenFull, withSpace, afterwards, check });
      await database.close();`;
    const path = join(disk, 'jobs.sqlite');
    const child = startStoreChild(body, { place: path, driver, request: request(), plan }, [
      ...['unshare', '-rm', 'bash', '-c', mount],
    ]);
    expect(await child.ended).toBe('');
    expect(child.lines).toEqual([
      {
        ...{ code: 'ERR_COMPACT_STORE', remedy: expect.stringContaining('space') },
        ...{ made: expect.any(Number), whenFull: true, withSpace: true, afterwards: true, check: 'ok' },
      },
    ]);
    expect(Number(child.lines[0]!.made)).toBeGreaterThan(5);
  });

  test('what is forgotten leaves the file', async () => {
    const database = await open();
    const store = await SqlJobStore.open(database);
    await fill(database, 60, store);
    const size = (): number =>
      [place(), `${place()}-wal`].reduce(
        (sum, path) => sum + (existsSync(path) ? statSync(path).size : 0),
        0,
      );
    const full = size();
    expect(await store.compact({ endedBefore: Date.now() + 1000, maxEvents: 10 })).toHaveLength(60);
    expect(Number((await database.query('PRAGMA freelist_count'))[0]!.freelist_count)).toBe(0);
    await database.close();
    expect(size()).toBeLessThan(100_000);
    expect(full).toBeGreaterThan(10 * size());
  });

  test('a thousand jobs leave neither open files nor memory behind', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const database = await open();
    const store = await SqlJobStore.open(database);
    // Without waiting for the disk, which is of no interest here.
    await database.query('PRAGMA synchronous = OFF');
    const used = (): { files: number; bytes: number } => {
      collect();
      return { files: openFiles().length, bytes: process.memoryUsage().heapUsed };
    };
    const runJobs = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const { id } = await store.create(request(), plan, `key ${i} of ${count}`);
        await store.claim('a', always);
        await store.progress(id, 'a', stepDone(1));
        await store.finish(id, 'a', { status: 'succeeded', result: { step: 1 } }, message('done'));
      }
    };
    await runJobs(200);
    const before = used();
    await runJobs(1000);
    const after = used();
    expect(after.files).toBeLessThanOrEqual(before.files);
    // A kilobyte a job would be a megabyte.
    expect(after.bytes - before.bytes).toBeLessThan(1e6);
    expect(await store.count()).toMatchObject({ succeeded: 1200 });
    await database.close();
  });
});

/** Ended jobs with 100 metrics each; closes the database unless a store of it is given. */
async function fill(database: SqliteDatabase, numJobs: number, given?: SqlJobStore): Promise<void> {
  const store = given ?? (await SqlJobStore.open(database));
  const events = Array.from({ length: 100 }, (_, step) => metrics(step));
  for (let i = 0; i < numJobs; i++) {
    const { id } = await store.create(request(), plan);
    await store.claim('a', always);
    await store.progress(id, 'a', { step: 100, trainedTokens: 1, events });
    await store.finish(id, 'a', { status: 'succeeded', result: { step: 100 } }, message('done'));
  }
  if (given === undefined) await database.close();
}
