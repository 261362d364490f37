/** Any sequence of calls leaves the jobs that a plain model of the states has, in every database. */
import { afterAll, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { SqlJobStore } from '../../lib/jobs/sql-job-store.js';
import type { JobStatus } from '../../lib/jobs/job.js';
import { databaseKinds, type DatabaseSource } from '../helpers/job-databases.js';
import { message, plan, request, stepDone } from '../helpers/job-fixtures.js';

/** A job as the model has it. */
interface ModelJob {
  readonly priority: number;
  status: JobStatus;
  stop: 'paused' | 'cancelled' | undefined;
  server: string | undefined;
  attempts: number;
  step: number;
}

/** What is done; jobs are named by their place, servers by their name. */
type Call =
  | { readonly call: 'create'; readonly priority: number }
  | { readonly call: 'claim' | 'lose'; readonly server: string }
  | { readonly call: 'progress'; readonly job: number; readonly server: string; readonly step: number }
  | { readonly call: 'pause' | 'cancel' | 'resume'; readonly job: number }
  | {
      readonly call: 'finish';
      readonly job: number;
      readonly server: string;
      readonly status: 'succeeded' | 'failed' | 'paused' | 'queued';
    };

const server = fc.constantFrom('a', 'b');
const job = fc.nat(4);
const calls: fc.Arbitrary<Call[]> = fc.array(
  fc.oneof(
    fc.record({ call: fc.constant('create' as const), priority: fc.integer({ min: -1, max: 1 }) }),
    fc.record({ call: fc.constant('claim' as const), server }),
    fc.record({ call: fc.constant('claim' as const), server }),
    fc.record({ call: fc.constant('lose' as const), server }),
    fc.record({ call: fc.constant('progress' as const), job, server, step: fc.nat(9) }),
    fc.record({ call: fc.constantFrom('pause' as const, 'cancel' as const, 'resume' as const), job }),
    fc.record({
      ...{ call: fc.constant('finish' as const), job, server },
      status: fc.constantFrom('succeeded' as const, 'failed' as const, 'paused' as const, 'queued' as const),
    }),
  ),
  { minLength: 20, maxLength: 60 },
);

/** Does a call on the model; false where it is refused, or is nobody's. */
function apply(jobs: ModelJob[], call: Call): boolean {
  const found = 'job' in call ? jobs[call.job] : undefined;
  switch (call.call) {
    case 'create':
      jobs.push({
        priority: call.priority,
        status: 'queued',
        stop: undefined,
        server: undefined,
        attempts: 0,
        step: 0,
      });
      return true;
    case 'claim': {
      const queued = jobs.filter(({ status }) => status === 'queued');
      const first = queued.toSorted((x, y) => y.priority - x.priority)[0];
      if (first === undefined) return false;
      Object.assign(first, { status: 'running', server: call.server, attempts: first.attempts + 1 });
      return true;
    }
    case 'lose': {
      const others = jobs.filter(({ status, server }) => status === 'running' && server !== call.server);
      for (const lost of others) leave(lost, lost.stop ?? 'queued');
      return others.length > 0;
    }
    case 'progress':
      if (found?.status !== 'running' || found.server !== call.server) return false;
      found.step = Math.max(found.step, call.step);
      return true;
    case 'finish':
      if (found?.status !== 'running' || found.server !== call.server) return false;
      if (call.status === 'queued') leave(found, found.stop ?? 'queued');
      else leave(found, call.status === 'paused' && found.stop === 'cancelled' ? 'cancelled' : call.status);
      return true;
    case 'resume':
      if (found?.status !== 'paused' && found?.status !== 'failed') return false;
      leave(found, 'queued');
      return true;
    default: {
      if (found === undefined) return false;
      const asked = call.call === 'pause' ? 'paused' : 'cancelled';
      const canStop = {
        queued: true,
        paused: asked === 'cancelled',
        running: asked === 'cancelled' || found.stop !== 'cancelled',
      };
      if (!(found.status in canStop) || !canStop[found.status as keyof typeof canStop]) return false;
      if (found.status === 'running') found.stop = asked;
      else leave(found, asked);
      return true;
    }
  }
}

const leave = (job: ModelJob, status: JobStatus): void => {
  Object.assign(job, { status, stop: undefined, server: undefined });
};

const ends = {
  succeeded: { status: 'succeeded', result: { step: 9 } },
  failed: { status: 'failed', error: { code: 'ERR_COMPACT_JOB_LOST', what: 'lost' } },
  paused: { status: 'paused' },
  queued: { status: 'queued' },
} as const;

/** Does a call on the store; false where it is refused, or is nobody's. */
async function perform(store: SqlJobStore, ids: string[], call: Call): Promise<boolean> {
  const id = ('job' in call ? ids[call.job] : undefined) ?? 'no job';
  switch (call.call) {
    case 'create':
      ids.push((await store.create(request({ priority: call.priority }), plan)).id);
      return true;
    case 'claim':
      return (await store.claim(call.server, () => 'now')) !== undefined;
    case 'lose':
      return (await store.requeueLost(call.server, 0)).length > 0;
    case 'progress':
      return store.progress(id, call.server, stepDone(call.step));
    case 'finish':
      return (await store.finish(id, call.server, ends[call.status], message('end'))) !== undefined;
    default: {
      const change =
        call.call === 'resume'
          ? store.resume(id)
          : store.requestStop(id, call.call === 'pause' ? 'paused' : 'cancelled');
      return change.then(
        () => true,
        (error: { code?: unknown }) => {
          expect(['ERR_COMPACT_JOB_STATE', 'ERR_COMPACT_JOB_UNKNOWN']).toContain(error.code);
          return false;
        },
      );
    }
  }
}

describe.each(databaseKinds)('$name', ({ start }) => {
  let source: DatabaseSource | undefined;
  afterAll(() => source?.stop());

  test('has what the model has', async () => {
    source = await start();
    if (source === undefined) return;
    const database = await source.open(await source.place());
    const store = await SqlJobStore.open(database);
    const property = fc.asyncProperty(calls, async (sequence) => {
      await database.query('DELETE FROM compact_jobs');
      const jobs: ModelJob[] = [];
      const ids: string[] = [];
      for (const call of sequence) expect(await perform(store, ids, call)).toBe(apply(jobs, call));
      const found = await Promise.all(ids.map((id) => store.get(id)));
      expect(found).toMatchObject(
        jobs.map(({ priority, status, stop, attempts, step }) => ({
          priority,
          status,
          stopRequest: stop,
          attempts,
          step,
        })),
      );
      for (const [i, { status }] of jobs.entries()) {
        expect(found[i]!.finishedAt !== undefined).toBe(
          ['succeeded', 'failed', 'cancelled'].includes(status),
        );
        expect(found[i]!.error !== undefined).toBe(status === 'failed');
        expect(found[i]!.result !== undefined).toBe(status === 'succeeded');
        const events = await store.events(ids[i]!, { limit: 1000 });
        expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i + 1));
        const steps = events.filter(({ type }) => type === 'metrics').map(({ data }) => Number(data.step));
        expect(steps).toEqual([...new Set(steps)].toSorted((x, y) => x - y));
      }
    });
    try {
      await fc.assert(property, { seed: 20, numRuns: 25 });
    } finally {
      await database.close();
    }
  });
});
