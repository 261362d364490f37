/** Processes that are killed while they change jobs: what was acknowledged is there, and nothing is half of a change. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { SqlJobStore } from '../../lib/jobs/sql-job-store.js';
import { databaseKinds, type DatabaseSource } from '../helpers/job-databases.js';
import { plan, request } from '../helpers/job-fixtures.js';
import { randomIntegers } from '../helpers/random.js';
import { doJobs, startStoreChild } from '../helpers/store-child.js';

/** What a child has said of a job, the last of it. */
interface Acknowledged {
  readonly id: string;
  readonly status: string;
  readonly step: number;
  readonly numEvents: number;
}

const order = ['queued', 'running', 'succeeded'];

/** All of a job that was acknowledged, and of its steps none twice. */
async function expectKept(store: SqlJobStore, said: Acknowledged): Promise<void> {
  const job = (await store.get(said.id))!;
  expect(job.step).toBeGreaterThanOrEqual(said.step);
  // A job whose process was lost may be queued again.
  if (said.status === 'succeeded') expect(job.status).toBe('succeeded');
  expect(order).toContain(job.status);
  const events = await store.events(said.id, { limit: 1000 });
  expect(events.length).toBeGreaterThanOrEqual(said.numEvents);
  expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i + 1));
  const steps = events.filter(({ type }) => type === 'metrics').map(({ data }) => data.step);
  expect(steps).toEqual(Array.from({ length: job.step }, (_, i) => i + 1));
}

describe.each(databaseKinds)('$name', ({ start, driver }) => {
  let source: DatabaseSource | undefined;
  afterAll(() => source?.stop());

  test('killed at twenty moments, all that was acknowledged is there', async () => {
    source = await start();
    if (source === undefined) return;
    const place = await source.place();
    const delays = randomIntegers('moments of death', [20], 60).data;
    const lines = randomIntegers('lines before death', [20], 14).data;
    const said = new Map<string, Acknowledged>();
    for (let i = 0; i < 20; i++) {
      const child = startStoreChild(doJobs, { place, driver, request: request(), plan });
      await child.has(1 + lines[i]!);
      await sleep(delays[i]);
      child.process.kill('SIGKILL');
      expect(await child.ended).toBe('');
      for (const line of child.lines as unknown as Acknowledged[]) {
        const before = said.get(line.id);
        const step = Math.max(line.step, before?.step ?? 0);
        const numEvents = Math.max(line.numEvents, before?.numEvents ?? 0);
        said.set(line.id, { ...line, step, numEvents });
      }
      const database = await source.open(place);
      try {
        const store = await SqlJobStore.open(database);
        const isLast = i === delays.length - 1;
        const touched = new Set(child.lines.map(({ id }) => id));
        for (const last of said.values()) if (isLast || touched.has(last.id)) await expectKept(store, last);
      } finally {
        await database.close();
      }
    }
    expect([...said.values()].some(({ status }) => status === 'succeeded')).toBe(true);
  });
});
