import { compactError } from '../errors.js';
import { finalStatuses } from './job.js';
import type { Job, JobStatus } from './job.js';
import type { JobEnd } from './job-store.js';

type State = Pick<Job, 'status' | 'stopRequest'>;
type StopRequest = NonNullable<Job['stopRequest']>;

/**
 * What a job becomes that is asked to end: a running one keeps running until its process has come to it.
 * @throws ERR_COMPACT_JOB_STATE
 */
export function afterStopRequest(job: State & { readonly id: string }, request: StopRequest): State {
  const { status, stopRequest } = job;
  if (finalStatuses.includes(status)) throw wrongState(job, 'queued, running or paused', `has ended`);
  if (status === request) throw wrongState(job, 'queued or running', 'is paused already');
  if (status !== 'running') return { status: request, stopRequest: undefined };
  if (stopRequest === 'cancelled' && request === 'paused')
    throw wrongState(job, 'queued or running', 'is being cancelled');
  return { status, stopRequest: request };
}

/**
 * What a running job becomes when an attempt ends. One that was asked to end and is put back into the queue, for its process
 * or its server is gone, has come to that end; one that was asked to pause and then cancelled is not left paused.
 */
export function afterAttempt({ stopRequest }: Pick<State, 'stopRequest'>, end: JobEnd['status']): JobStatus {
  if (end === 'queued') return stopRequest ?? 'queued';
  return end === 'paused' && stopRequest === 'cancelled' ? 'cancelled' : end;
}

/** @throws ERR_COMPACT_JOB_STATE unless the job can be queued again */
export function checkResumable(job: State & { readonly id: string }): void {
  if (job.status === 'paused' || job.status === 'failed') return;
  throw wrongState(job, 'paused or failed', `is ${job.status}`);
}

/** @throws ERR_COMPACT_JOB_STATE unless the job has a model, or had one */
export function checkSucceeded(job: State & { readonly id: string }): void {
  if (job.status !== 'succeeded') throw wrongState(job, 'succeeded', `has trained no model`);
}

const wrongState = (job: State & { readonly id: string }, expected: string, problem: string): Error =>
  compactError('ERR_COMPACT_JOB_STATE', `the job ${job.id} ${problem}`, {
    op: job.id,
    expected: `a job that is ${expected}`,
    received: job.status,
  });
