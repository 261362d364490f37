/** Jobs as a server asks for them, each in a process of its own. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { devices } from '../../lib/runtime/index.js';
import type { JobEvent } from '../../lib/jobs/index.js';
import {
  allEvents,
  become,
  GiB,
  isStatus,
  JobFixture,
  type JobQueue,
  numSteps,
  owner,
  weightsOf,
} from '../helpers/job-fixture.js';
import { killAt, type Moment } from '../helpers/killed-processes.js';

let fixture: JobFixture;
let expected: Readonly<Record<string, string>>;

beforeAll(async () => {
  fixture = await JobFixture.make();
  expected = weightsOf(await fixture.trainByCommand());
});
afterAll(() => fixture.remove());

const isEmulated = devices().some(({ kind }) => kind === 'cuda-emulated');
if (!isEmulated) console.log('skipped: the emulated device is built on Linux x64 only');
const testEmulated = isEmulated ? test : test.skip;

const open = (change?: object): Promise<JobQueue> => fixture.openQueue(change);
const request = (change?: Readonly<Record<string, unknown>>) => fixture.request(change);

/** Every step once, and ids without a gap. @returns what was measured, step by step */
function wholeMetrics(events: readonly JobEvent[]): readonly JobEvent['data'][] {
  expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i + 1));
  const metrics = events.filter(({ type }) => type === 'metrics').map(({ data }) => data);
  expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: numSteps }, (_, i) => i + 1));
  return metrics;
}

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
    const metrics = wholeMetrics(await allEvents(queue, job.id));
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
    const checkpoints = await queue.checkpoints(job.id, owner);
    expect(checkpoints.map(({ step }) => step)).toEqual([35, 40]);
    expect(checkpoints.at(-1)!.metrics).toMatchObject({ evalLoss: job.result!.evalLoss });
    for (const { path } of checkpoints) expect(existsSync(join(folder, path))).toBe(true);
  });

  const step = (number: number): Moment => ({ step: number, what: 'step' });
  const checkpoint = (number: number): Moment => ({ step: number, what: 'checkpoint' });
  test.each<[string, readonly Moment[]]>([
    ['before its first checkpoint, and at it', [step(3), step(7)]],
    ['behind a checkpoint that nobody heard of', [checkpoint(14), step(16)]],
    ['at the last step, and when only the model is left to be written', [step(40), checkpoint(40)]],
  ])('whose process is killed %s goes on to the same bits', async (_, moments) => {
    await using queue = await open();
    using kills = killAt(fixture.newDirectory(), moments);
    const { id } = await queue.create(request());
    const job = await become(queue, id, isStatus('succeeded'));
    expect(kills.killed()).toEqual(moments.map(({ what, step: at }) => `${what} ${at}`));
    expect(job.attempts).toBe(moments.length + 1);
    expect(weightsOf(join(queue.folder(id), job.result!.folder!))).toEqual(expected);
    const events = await allEvents(queue, id);
    const { loss, evalLoss } = wholeMetrics(events).at(-1)!;
    expect(job.result).toMatchObject({ loss, evalLoss });
    const saved = events
      .filter(({ message }) => message.startsWith('Checkpoint'))
      .map(({ data }) => data['step']);
    expect(saved).toEqual([7, 14, 21, 28, 35, 40]);
  });

  test('that is paused before its first step, and resumed, comes to the same bits', async () => {
    await using queue = await open();
    const { id } = await queue.create(request());
    await become(queue, id, isStatus('running'));
    await queue.pause(id, owner);
    expect(await become(queue, id, isStatus('paused'))).toMatchObject({ step: 0, attempts: 1 });
    await queue.resume(id, owner);
    const { result } = await become(queue, id, isStatus('succeeded'));
    expect(weightsOf(join(queue.folder(id), result!.folder!))).toEqual(expected);
  });

  test('that has succeeded loses its files when they are removed, and no other job does', async () => {
    await using queue = await open();
    const running = await queue.create(request({ maxSteps: 1_000_000 }));
    const state = { code: 'ERR_COMPACT_JOB_STATE' };
    await expect(queue.removeModel(running.id, owner)).rejects.toMatchObject(state);
    await queue.cancel(running.id, owner);
    const { id } = await queue.create(request({ maxSteps: 3 }));
    await become(queue, id, isStatus('succeeded'));
    const unknown = { code: 'ERR_COMPACT_JOB_UNKNOWN' };
    await expect(queue.removeModel(id, 'somebody else')).rejects.toMatchObject(unknown);
    expect(await queue.checkpoints(id, owner)).toHaveLength(1);
    for (let times = 0; times < 2; times++) {
      const { status, result } = await queue.removeModel(id, owner);
      expect({ status, result }).toEqual({
        status: 'succeeded',
        result: { step: 3, loss: expect.any(Number), evalLoss: expect.any(Number) },
      });
    }
    expect(existsSync(queue.folder(id))).toBe(false);
    expect(await queue.checkpoints(id, owner)).toEqual([]);
  });

  test('of adapters ends with them and with the model that they make', async () => {
    await using queue = await open();
    const { id } = await queue.create(request({ method: { name: 'lora', r: 2 }, maxSteps: 3 }));
    const { result } = await become(queue, id, isStatus('succeeded'));
    expect(result).toMatchObject({ folder: 'model-3', adapters: 'adapters-3', checkpoint: 'checkpoint-3' });
    for (const path of [result!.folder!, result!.adapters!, result!.checkpoint!])
      expect(existsSync(join(queue.folder(id), path))).toBe(true);
  });

  testEmulated('for any GPU is done on one that has room, under its number', async () => {
    const gpus = [
      { name: 'cuda-emulated:7', memoryBytes: 1 },
      { name: 'cuda-emulated:0', memoryBytes: 4 * GiB },
    ];
    await using queue = await open({ devices: gpus });
    const { id, plan } = await queue.create(request({ device: 'cuda-emulated', maxSteps: 2 }));
    expect(plan.device).toBe('cuda-emulated');
    const job = await become(queue, id, isStatus('succeeded'));
    expect(job.step).toBe(2);
    const starts = (await allEvents(queue, id)).map(({ data }) => data['device']);
    expect(starts.filter((device) => device !== undefined)).toEqual(['cuda-emulated:0']);
  });
});
