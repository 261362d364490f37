/** Jobs as a server asks for them, each in a process of its own. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  allEvents,
  become,
  isStatus,
  JobFixture,
  JobQueue,
  numSteps,
  owner,
  weightsOf,
} from '../helpers/job-fixture.js';
import { MemoryJobStore } from '../helpers/memory-job-store.js';

let fixture: JobFixture;
let expected: Readonly<Record<string, string>>;
let numDirectories = 0;

beforeAll(async () => {
  fixture = await JobFixture.make();
  expected = weightsOf(await fixture.trainByCommand());
});
afterAll(() => fixture.remove());

const GiB = 2 ** 30;
const open = (change: object = {}): Promise<JobQueue> =>
  JobQueue.open({
    store: new MemoryJobStore(),
    directory: join(fixture.folder, `queue-${numDirectories++}`),
    devices: [{ name: 'cpu', memoryBytes: 4 * GiB }],
    ...change,
  });
const request = (change?: Readonly<Record<string, unknown>>) => ({
  recipe: fixture.recipe(change),
  owner,
  priority: 0,
  details: {},
});

describe('a job', () => {
  test('trains the bits that the command line trains, and tells every step once', async () => {
    await using queue = await open();
    const created = await queue.create(request());
    expect(created).toMatchObject({ status: 'queued', plan: { device: 'cpu', maxSteps: numSteps } });
    const job = await become(queue, created.id, isStatus('succeeded'));
    const folder = queue.folder(job.id);
    expect(weightsOf(join(folder, job.result!.folder!))).toEqual(expected);
    const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const events = await allEvents(queue, job.id);
    const metrics = events.filter(({ type }) => type === 'metrics').map(({ data }) => data);
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: numSteps }, (_, i) => i + 1));
    // Evaluations have lines of their own.
    for (const line of logged)
      expect(metrics[Number(line['step']) - 1]).toMatchObject({
        ...line,
        ...('processBytes' in line && { processBytes: expect.any(Number) }),
      });
    expect(job).toMatchObject({
      step: numSteps,
      trainedTokens: metrics.at(-1)!['numTokensSeen'],
      attempts: 1,
      result: {
        folder: `model-${numSteps}`,
        checkpoint: `checkpoint-${numSteps}`,
        step: numSteps,
        loss: metrics.at(-1)!['loss'],
        evalLoss: metrics.at(-1)!['evalLoss'],
      },
    });
    expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i + 1));
    const checkpoints = await queue.checkpoints(job.id, owner);
    expect(checkpoints.map(({ step }) => step)).toEqual([35, 40]);
    expect(checkpoints.at(-1)!.metrics).toMatchObject({ evalLoss: job.result!.evalLoss });
    for (const { path } of checkpoints) expect(existsSync(join(folder, path))).toBe(true);
  });
});
