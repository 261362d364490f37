import type { JobError, JobPlan, JobStatus, NewJobEvent } from './job.js';

const event = (
  message: string,
  data: NewJobEvent['data'] = {},
  level: NewJobEvent['level'] = 'info',
): NewJobEvent => ({ level, type: 'message', message, data });

const messages: Readonly<Record<JobStatus, string>> = {
  queued: 'The job is in the queue',
  running: 'The job runs',
  paused: 'The job is paused',
  succeeded: 'The job has succeeded',
  failed: 'The job has failed',
  cancelled: 'The job is cancelled',
};

/** Tells what has become of a job. */
export const statusEvent = (status: JobStatus, data: NewJobEvent['data'] = {}): NewJobEvent =>
  event(messages[status], { status, ...data });

export const stopRequestEvents = {
  paused: event('The job was asked to pause'),
  cancelled: event('The job was asked to end'),
} as const;

/** Tells of a job that no device can take any more, with what it would take. */
export const neverFitsEvent = (error: JobError, plan: JobPlan): NewJobEvent =>
  event(error.what, { ...error, plan }, 'error');

/** What was trained is no longer there. */
export const modelDeletedEvent = event('The model of the job is deleted');

export const lostEvent = event('The server that ran the job is gone', {}, 'warn');
