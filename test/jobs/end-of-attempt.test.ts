import { expect, test } from '@jest/globals';
import { compactError } from '../../lib/errors.js';
import { endOfAttempt, type Attempt } from '../../lib/jobs/end-of-attempt.js';
import type { Wish } from '../../lib/jobs/job-run.js';

const result = { folder: 'model-5', step: 5, loss: 1 };
const done: Attempt = { outcome: { isComplete: true, result } };
const stopped: Attempt = { outcome: { isComplete: false, result: { step: 3 } } };
const lost: Attempt = { error: compactError('ERR_COMPACT_JOB_LOST', 'it was lost', { received: 'a word' }) };
const refused: Attempt = {
  error: compactError('ERR_COMPACT_DATA_READ', 'no data', { op: 'data', remedy: 'Look', details: { a: 1 } }),
};
const fault: Attempt = { error: new TypeError('a fault') };

test.each<[string, Attempt, Wish | undefined, number, object, string]>([
  ['is done', done, undefined, 0, { status: 'succeeded', result }, 'info'],
  ['is done although it was to be paused', done, 'paused', 0, { status: 'succeeded', result }, 'info'],
  ['stops as asked', stopped, 'paused', 0, { status: 'paused' }, 'info'],
  ['stops by itself', stopped, undefined, 0, { status: 'queued' }, 'info'],
  ['is killed for a cancellation', lost, 'cancelled', 1, { status: 'cancelled' }, 'info'],
  ['is lost', lost, undefined, 2, { status: 'queued', losses: 2 }, 'warn'],
  [
    'is lost too often',
    lost,
    undefined,
    3,
    { status: 'failed', error: { code: 'ERR_COMPACT_JOB_LOST', what: 'it was lost', received: 'a word' } },
    'error',
  ],
  [
    'fails with a typed error',
    refused,
    undefined,
    0,
    {
      status: 'failed',
      error: { code: 'ERR_COMPACT_DATA_READ', what: 'no data', op: 'data', remedy: 'Look' },
    },
    'error',
  ],
  [
    'fails with another error',
    fault,
    undefined,
    0,
    {
      status: 'failed',
      error: expect.objectContaining({ code: 'ERR_COMPACT_JOB_LOST', received: 'a fault' }),
    },
    'error',
  ],
])('what %s', (_, attempt, wish, numLosses, expected, level) => {
  const { end, event } = endOfAttempt(attempt, wish, numLosses);
  expect(end).toEqual(expected);
  expect(event).toMatchObject({ level, type: 'message', message: expect.any(String) });
  expect(event.data).toEqual('error' in end ? end.error : level === 'warn' ? expect.any(Object) : {});
});
