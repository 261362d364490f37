import { isCompactError } from '../errors.js';
import type { JobError, NewJobEvent } from './job.js';
import type { JobEnd } from './job-store.js';
import type { Wish } from './job-run.js';
import type { JobOutcome } from './job-task.js';

/** How the process of a job has ended. */
export type Attempt = { readonly outcome: JobOutcome } | { readonly error: unknown };

/** Processes of a job that may be lost without a new checkpoint before it counts as failed. */
export const maxAttempts = 3;

/**
 * What becomes of a job after an attempt, and the event that tells it.
 * @param wish what was asked for meanwhile
 * @param losses processes that were lost since the latest checkpoint, this one included
 */
export function endOfAttempt(
  attempt: Attempt,
  wish: Wish | undefined,
  losses: number,
): { readonly end: JobEnd; readonly event: NewJobEvent } {
  if ('outcome' in attempt) {
    const { isComplete, result } = attempt.outcome;
    if (isComplete)
      return {
        end: { status: 'succeeded', result },
        event: told(`The job is done, after step ${result.step}`),
      };
    const status = wish ?? 'queued';
    return { end: { status }, event: told(`${stopped[status]}, after step ${result.step}`) };
  }
  if (wish !== undefined) return { end: { status: wish }, event: told(stopped[wish]) };
  const error = jobError(attempt.error);
  if (isLost(attempt) && losses < maxAttempts) {
    const message = `${error.what}; the job goes on from its latest checkpoint`;
    return { end: { status: 'queued', losses }, event: told(message, 'warn', error) };
  }
  return { end: { status: 'failed', error }, event: told(error.what, 'error', error) };
}

/** Whether the process has died without a word. */
export const isLost = (attempt: Attempt): boolean =>
  'error' in attempt && isCompactError(attempt.error, 'ERR_COMPACT_JOB_LOST');

const stopped = {
  queued: 'The job is put back into the queue',
  paused: 'The job is paused',
  cancelled: 'The job is cancelled',
} as const;

const told = (message: string, level: NewJobEvent['level'] = 'info', data: object = {}): NewJobEvent => ({
  level,
  type: 'message',
  message,
  data: { ...data },
});

/** Of an error that is none of this package's, its message is all there is to know. */
function jobError(thrown: unknown): JobError {
  if (!isCompactError(thrown)) {
    const { message = String(thrown) } = Object(thrown) as Partial<Error>;
    return { code: 'ERR_COMPACT_JOB_LOST', what: 'the job was ended by an error', received: message };
  }
  const { code, what, op, expected, received, remedy } = thrown;
  return Object.fromEntries(
    Object.entries({ code, what, op, expected, received, remedy }).filter(([, value]) => value !== undefined),
  ) as unknown as JobError;
}
