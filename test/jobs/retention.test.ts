/** What is kept of jobs that have ended, on a clock of the test's own. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Job } from '../../lib/jobs/job.js';
import { retain } from '../../lib/jobs/retention.js';
import { SqlJobStore } from '../../lib/jobs/sql-job-store.js';
import { JobQueue } from '../helpers/job-fixture.js';
import { message, metrics, plan, request, stepDone } from '../helpers/job-fixtures.js';
import { MemoryDatabase } from '../helpers/memory-database.js';

const hourMs = 3600 * 1000;
const dayMs = 24 * hourMs;

let directory: string;
let database: MemoryDatabase;
let store: SqlJobStore;
const problems: unknown[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'compact-retention-'));
  database = new MemoryDatabase();
  store = await SqlJobStore.open(database);
});
afterEach(async () => {
  jest.restoreAllMocks();
  expect(problems.splice(0)).toEqual([]);
  await database.close();
  rmSync(directory, { recursive: true });
});

const jobs = (): string => join(directory, 'jobs');
const onProblem = (problem: unknown): void => void problems.push(problem);

function writeFolder(id: string, ageMs = 0): void {
  mkdirSync(join(jobs(), id, 'model-3'), { recursive: true });
  writeFileSync(join(jobs(), id, 'model-3', 'model.safetensors'), 'weights');
  const changed = new Date(Date.now() - ageMs);
  utimesSync(join(jobs(), id), changed, changed);
}

/** A job that has begun and told of so many steps, with its folder. */
async function begin(numSteps = 3): Promise<Job> {
  const { id } = await store.create(request(), plan);
  const job = (await store.claim('a', () => 'now'))!;
  const events = Array.from({ length: numSteps }, (_, step) => metrics(step));
  await store.progress(id, 'a', { ...stepDone(numSteps), events });
  writeFolder(id);
  return job;
}
const end = async ({ id }: Job): Promise<void> =>
  void (await store.finish(id, 'a', { status: 'succeeded', result: { step: 3 } }, message('done')));
const endedAt = (time: number): Promise<unknown> =>
  database.query('UPDATE compact_jobs SET finished_at = $1 WHERE finished_at IS NOT NULL', [time]);

test('a queue forgets jobs that ended long ago, and their folders with them', async () => {
  const old = await begin();
  await end(old);
  await endedAt(Date.now() - 8 * dayMs);
  const recent = await begin(30);
  await end(recent);
  const waiting = await store.create(request(), { ...plan, device: 'cuda', plannedBytes: 1 });
  await store.requestStop(waiting.id, 'paused');
  writeFolder(waiting.id, 100 * dayMs);
  const unknown = (digit: string): string => `job-${digit.repeat(32)}`;
  writeFolder(unknown('0'), 2 * dayMs);
  writeFolder(unknown('1'), hourMs);
  writeFolder('mine', 100 * dayMs);
  const devices = [{ name: 'cpu', memoryBytes: 1 }];
  const retention = { endedDays: 7, maxEvents: 10 };
  const queue = await JobQueue.open({ store, directory, devices, retention, onProblem });
  await queue.close();
  expect(await store.get(old.id)).toBeUndefined();
  expect(readdirSync(jobs()).toSorted()).toEqual(['mine', recent.id, unknown('1'), waiting.id].toSorted());
  const events = await store.events(recent.id, { limit: 100 });
  expect(events.filter(({ type }) => type === 'metrics')).toHaveLength(10);
});

test('without a word all is kept', async () => {
  const old = await begin(30);
  await end(old);
  await endedAt(1);
  writeFolder(`job-${'0'.repeat(32)}`, 2 * dayMs);
  const devices = [{ name: 'cpu', memoryBytes: 1 }];
  const queue = await JobQueue.open({ store, directory, devices, onProblem });
  await queue.close();
  await retain(store, jobs(), { maxEvents: 30 }, onProblem);
  expect(await store.events(old.id, { limit: 100 })).toHaveLength(33);
  expect(readdirSync(jobs())).toHaveLength(2);
});

test('a day of jobs leaves no more than hours of them', async () => {
  let now = Date.now();
  jest.spyOn(Date, 'now').mockImplementation(() => now);
  const numRows = async (): Promise<number> =>
    Number((await database.query('SELECT COUNT(*) AS n FROM compact_job_events'))[0]!.n);
  const running = await begin();
  const sizes: { rows: number; folders: number }[] = [];
  for (let hour = 0; hour < 24; hour++) {
    for (let i = 0; i < 4; i++) await end(await begin(40));
    await retain(store, jobs(), { endedDays: 2.5 / 24, maxEvents: 5 }, onProblem);
    sizes.push({ rows: await numRows(), folders: readdirSync(jobs()).length });
    now += hourMs;
  }
  // Those of this hour and the two before, with 5 metrics and 3 messages each, and one that runs.
  expect(sizes.at(-1)).toEqual({ rows: 3 * 4 * 8 + 5, folders: 3 * 4 + 1 });
  expect(new Set(sizes.slice(2).map((size) => JSON.stringify(size))).size).toBe(1);
  expect(existsSync(join(jobs(), running.id))).toBe(true);
});

test('a folder that cannot be removed is told of, and the others go', async () => {
  const ended = [await begin(), await begin()];
  for (const job of ended) await end(job);
  await endedAt(1);
  const refusing = {
    ...{ get: store.get.bind(store) },
    compact: async () => [`${ended[0]!.id}\0`, ended[1]!.id],
  };
  await retain(refusing, jobs(), { endedDays: 1 }, onProblem);
  expect(problems.splice(0)).toMatchObject([{ code: 'ERR_INVALID_ARG_VALUE' }]);
  expect(readdirSync(jobs())).toEqual([ended[0]!.id]);
});
