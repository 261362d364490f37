import { expect, test } from '@jest/globals';
import type { JobProgress } from '../../lib/jobs/job-store.js';
import { ProgressBuffer } from '../../lib/jobs/progress-buffer.js';

const event = (step: number) =>
  ({ level: 'info', type: 'metrics', message: `${step}`, data: { step } }) as const;
const progress = (step: number, change: Partial<JobProgress> = {}): JobProgress => ({
  ...{ step, trainedTokens: 10 * step, events: [event(step)] },
  ...change,
});
const stepsOf = ({ events }: JobProgress): unknown[] => events.map(({ data }) => data['step']);

test('progress is written together, in order and once, one writing after the other', async () => {
  const written: JobProgress[] = [];
  let numAtOnce = 0;
  const buffer = new ProgressBuffer(async (given) => {
    expect(++numAtOnce).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    written.push(given);
    numAtOnce--;
  });
  for (let step = 1; step <= 120; step++) buffer.add(progress(step));
  const checkpoint = { step: 120, path: 'checkpoint-120', metrics: {} };
  buffer.add(progress(120, { events: [], checkpoint }));
  buffer.add(progress(121));
  await buffer.flush();
  expect(written.map(stepsOf)).toEqual([
    Array.from({ length: 50 }, (_, i) => i + 1),
    Array.from({ length: 50 }, (_, i) => i + 51),
    Array.from({ length: 20 }, (_, i) => i + 101),
    [121],
  ]);
  expect(written.map(({ step, trainedTokens, checkpoint: saved }) => [step, trainedTokens, saved])).toEqual([
    [50, 500, undefined],
    [100, 1000, undefined],
    [120, 1200, checkpoint],
    [121, 1210, undefined],
  ]);
});

test('what waits is written after a while without another word', async () => {
  const step = await new Promise<number>((resolve) => {
    const buffer = new ProgressBuffer((given) => Promise.resolve(resolve(given.step)));
    buffer.add(progress(1));
  });
  expect(step).toBe(1);
});

test('what cannot be written is told by flush, and nothing is written behind it', async () => {
  let numWritten = 0;
  const buffer = new ProgressBuffer(() => {
    numWritten++;
    return Promise.reject(new Error('full'));
  });
  buffer.add(progress(1));
  await expect(buffer.flush()).rejects.toThrow('full');
  buffer.add(progress(2));
  await expect(buffer.flush()).rejects.toThrow('full');
  expect(numWritten).toBe(1);
});
