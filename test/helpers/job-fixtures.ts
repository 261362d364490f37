import type { JobPlan, JobRequest, NewJobEvent } from '../../lib/jobs/job.js';
import type { JobProgress } from '../../lib/jobs/job-store.js';

export const plan: JobPlan = {
  device: 'cpu',
  plannedBytes: 1000,
  overheadBytes: 10,
  numParameters: 100,
  maxSteps: 10,
  numTokens: 5000,
  bytesByKind: {},
  denseBytesByKind: {},
};

export const request = (changes: Partial<JobRequest> = {}): JobRequest => ({
  recipe: { model: 'm', data: { train: 'file-1' }, learningRate: 1e-4 },
  owner: 'alice',
  priority: 0,
  details: { suffix: 'first' },
  ...changes,
});

export const metrics = (step: number, names: readonly string[] = ['loss']): NewJobEvent => ({
  level: 'info',
  type: 'metrics',
  message: `step ${step}`,
  data: { step, ...Object.fromEntries(names.map((name) => [name, step / 2])) },
});

export const message = (text: string): NewJobEvent => ({
  level: 'info',
  type: 'message',
  message: text,
  data: {},
});

/** What is told of one step. */
export const stepDone = (step: number): JobProgress => ({
  step,
  trainedTokens: step * 100,
  events: [metrics(step)],
});
