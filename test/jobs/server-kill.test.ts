/** A server that is killed in the middle of its jobs: the next one brings all of them to the same end. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { JobFixture, numSteps, owner, weightsOf } from '../helpers/job-fixture.js';
import { runJobServer } from '../helpers/job-server.js';
import { MemoryJobStore } from '../helpers/memory-job-store.js';

let fixture: JobFixture;
beforeAll(async () => {
  fixture = await JobFixture.make();
});
afterAll(() => fixture.remove());

const numJobs = 3;
/** Lines that a server prints before it is killed: while jobs are created, while they begin, while they train. */
const killedAfter = [2, 5, 8, 12, 16];

test('killed at many moments, servers one after the other do every job to the bits of the command line', async () => {
  const expected = weightsOf(await fixture.trainByCommand());
  const directory = join(fixture.folder, 'server');
  const storePath = join(fixture.folder, 'jobs.json');
  const recipes = Array.from({ length: numJobs }, () => fixture.recipe());
  const options = { storePath, directory, owner, recipes };
  let numKilled = 0;
  for (const numLines of killedAfter) {
    let numSeen = 0;
    const { signal, stderr } = await runJobServer(options, (_, server) => {
      numSeen++;
      if (numSeen === numLines) server.kill('SIGKILL');
    });
    expect(stderr).toBe('');
    if (signal === 'SIGKILL') numKilled++;
  }
  expect(numKilled).toBeGreaterThan(2); // else nothing was tried
  const { code, stderr } = await runJobServer(options, () => {});
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const store = new MemoryJobStore(storePath);
  const { items } = await store.list({ owner, limit: 100 });
  expect(items).toHaveLength(numJobs);
  for (const { id, status, result } of items) {
    expect(status).toBe('succeeded');
    expect(weightsOf(join(directory, 'jobs', id, result!.folder!))).toEqual(expected);
    const events = await store.events(id, { limit: 100_000 });
    expect(events.map((event) => event.id)).toEqual(events.map((_, i) => i + 1));
    const steps = events.filter(({ type }) => type === 'metrics').map(({ data }) => data['step']);
    expect(steps).toEqual(Array.from({ length: numSteps }, (_, i) => i + 1));
    const saved = (await store.checkpoints(id)).map(({ step }) => step);
    expect(saved).toEqual([...new Set(saved)].toSorted((a, b) => a - b));
    expect(saved.at(-1)).toBe(numSteps);
  }
});
