import { expect, test } from '@jest/globals';
import type { Job } from '../../lib/jobs/job.js';
import { Throughput } from '../../lib/jobs/throughput.js';
import { metrics, plan, stepDone } from '../helpers/job-fixtures.js';

const job = (step: number): Job =>
  ({ step, trainedTokens: step * 100, plan: { ...plan, maxSteps: 10, numTokens: 5000 } }) as Job;
const speed = (tokensPerSecond: unknown) => {
  const event = metrics(1);
  return { ...event, data: { ...event.data, tokensPerSecond } };
};

test('steps and tokens are counted once, speeds of jobs that run are added up', () => {
  const throughput = new Throughput();
  const none = { steps: 0, trainedTokens: 0, tokensPerSecond: 0, secondsPerStep: undefined };
  expect(throughput.status).toEqual(none);
  {
    // One of them goes on after its third step, and repeats what came before it.
    using first = throughput.follow(job(3));
    using second = throughput.follow(job(0));
    for (const step of [2, 3, 4, 5]) first.tell(stepDone(step));
    expect(throughput.status).toEqual({ ...none, steps: 2, trainedTokens: 200 });
    first.tell({ ...stepDone(6), events: [speed(50), speed(null), speed(250), metrics(6)] });
    expect(throughput.status).toMatchObject({ steps: 3, tokensPerSecond: 250, secondsPerStep: 2 });
    second.tell({ ...stepDone(1), events: [speed(125)] });
    expect(throughput.status).toEqual({
      ...{ steps: 4, trainedTokens: 400, tokensPerSecond: 375, secondsPerStep: 3 },
    });
  }
  expect(throughput.status).toEqual({ ...none, steps: 4, trainedTokens: 400 });
});
