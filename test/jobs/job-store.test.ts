/** What holds of jobs in every database. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Database } from '../../lib/jobs/database.js';
import type { Fit } from '../../lib/jobs/device-memory.js';
import type { JobEnd } from '../../lib/jobs/job-store.js';
import type { Job, JobEvent, JobPlan, Labels } from '../../lib/jobs/job.js';
import { migrate } from '../../lib/jobs/migrate.js';
import { jobMigrations } from '../../lib/jobs/schema.js';
import { SqlJobStore } from '../../lib/jobs/sql-job-store.js';
import { databaseKinds, type DatabaseSource } from '../helpers/job-databases.js';
import { message, metrics, plan, request, stepDone } from '../helpers/job-fixtures.js';

const always = (): Fit => 'now';
const succeeded: JobEnd = { status: 'succeeded', result: { step: 10, loss: 0.5, folder: 'model' } };
const failed: JobEnd = { status: 'failed', error: { code: 'ERR_COMPACT_NOT_FINITE', what: 'a loss is NaN' } };

const stateError = { code: 'ERR_COMPACT_JOB_STATE' };
const unknownError = { code: 'ERR_COMPACT_JOB_UNKNOWN' };
const unknownId = `job-${'0'.repeat(32)}`;

const allEvents = (store: SqlJobStore, { id }: Job): Promise<readonly JobEvent[]> =>
  store.events(id, { limit: 10_000 });

async function expectNoGaps(store: SqlJobStore, job: Job): Promise<void> {
  const events = await allEvents(store, job);
  expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i + 1));
}

describe.each(databaseKinds)('$name', ({ start }) => {
  let source: DatabaseSource | undefined;
  beforeAll(async () => {
    source = await start();
  });
  afterAll(() => source?.stop());

  /** A test with a new database; nothing where there is none, of which `start` has given the reason. */
  const testWith = (name: string, run: (store: SqlJobStore, database: Database) => Promise<void>): void =>
    test(name, async () => {
      if (source === undefined) return;
      const database = await source.open(await source.place());
      try {
        await run(await SqlJobStore.open(database), database);
      } finally {
        await database.close();
      }
    });

  testWith('a job is what was asked for, and its owner alone sees it', async (store) => {
    const before = Date.now();
    const asked = request({ priority: -3, details: { suffix: 'ü \0 \ud800 🙂', nothing: null } });
    const job = await store.create(asked, plan);
    expect(job).toEqual({
      ...asked,
      ...{ id: expect.stringMatching(/^job-[0-9a-f]{32}$/), plan, status: 'queued', stopRequest: undefined },
      ...{ createdAt: expect.any(Number), startedAt: undefined, finishedAt: undefined },
      ...{ attempts: 0, losses: 0, step: 0, trainedTokens: 0, error: undefined, result: undefined },
    });
    expect(job.createdAt).toBeGreaterThanOrEqual(before);
    expect(await store.get(job.id)).toEqual(job);
    expect(await store.get(job.id, 'alice')).toEqual(job);
    expect(await store.get(job.id, 'bob')).toBeUndefined();
    for (const id of [unknownId, '', `${job.id}'`, `${job.id}\0`, "' OR 1 = 1 --"]) {
      expect(await store.get(id)).toBeUndefined();
      expect(await store.events(id, { limit: 1 })).toEqual([]);
      expect(await store.latestEvents(id, { limit: 1 })).toEqual([]);
      await expect(store.resume(id)).rejects.toMatchObject(unknownError);
    }
    expect(await allEvents(store, job)).toMatchObject([
      { id: 1, type: 'message', data: { status: 'queued' } },
    ]);
  });

  testWith(
    'a text that a database would change is refused, and one that looks like SQL is not',
    async (store) => {
      for (const owner of ['a\0b', '\ud800'])
        await expect(store.create(request({ owner }), plan)).rejects.toMatchObject({
          code: 'ERR_COMPACT_ARGUMENT',
        });
      await expect(store.create(request({ priority: 0.5 }), plan)).rejects.toMatchObject({
        code: 'ERR_COMPACT_ARGUMENT',
        received: '0.5',
      });
      const owner = `o'); DROP TABLE compact_jobs; -- $1`;
      await store.create(request({ owner }), plan, owner);
      expect((await store.list({ owner, limit: 5 })).items).toMatchObject([{ owner }]);
      expect(await store.count()).toMatchObject({ queued: 1 });
    },
  );

  testWith('created again with its key, it is the same job; another request is refused', async (store) => {
    expect(await store.wasCreated(request().owner, 'key')).toBe(false);
    const jobs = await Promise.all(Array.from({ length: 10 }, () => store.create(request(), plan, 'key')));
    expect(await store.wasCreated(request().owner, 'key')).toBe(true);
    expect(await store.wasCreated('somebody else', 'key')).toBe(false);
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(1);
    // The order of names is of no meaning, and the plan depends on the machine.
    const { learningRate, ...rest } = request().recipe;
    const reordered = request({ recipe: { learningRate, ...rest } });
    expect(await store.create(reordered, { ...plan, plannedBytes: 1 }, 'key')).toEqual(jobs[0]);
    await expect(store.create(request({ priority: 1 }), plan, 'key')).rejects.toMatchObject({
      ...stateError,
      received: 'key',
    });
    const others = [
      await store.create(request({ owner: 'bob' }), plan, 'key'),
      await store.create(request(), plan, 'another key'),
      await store.create(request(), plan),
      await store.create(request(), plan),
    ];
    expect(new Set([jobs[0]!, ...others].map(({ id }) => id)).size).toBe(5);
    expect(await allEvents(store, jobs[0]!)).toHaveLength(1);
  });

  testWith('pages are the latest first, whatever the clock says', async (store) => {
    const now = Date.now;
    const created: Job[] = [];
    try {
      for (let i = 0; i < 7; i++) {
        Date.now = () => 1_000_000 - i;
        created.push(await store.create(request({ owner: i === 3 ? 'bob' : 'alice' }), plan));
      }
    } finally {
      Date.now = now;
    }
    const ofAlice = created.filter(({ owner }) => owner === 'alice').toReversed();
    const first = await store.list({ owner: 'alice', limit: 4 });
    expect(first).toEqual({ items: ofAlice.slice(0, 4), hasMore: true });
    const second = await store.list({ owner: 'alice', after: first.items[3]!.id, limit: 2 });
    expect(second).toEqual({ items: ofAlice.slice(4), hasMore: false });
    expect((await store.list({ limit: 100 })).items).toEqual(created.toReversed());
    for (const after of [created[3]!.id, unknownId])
      await expect(store.list({ owner: 'alice', after, limit: 2 })).rejects.toMatchObject(unknownError);
    for (const limit of [0, -1, 1.5, NaN])
      await expect(store.list({ limit })).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE' });
    expect((await store.claim('server', always))?.id).toBe(created[0]!.id);
  });

  testWith('one that does not fit waits, and those behind it with it', async (store) => {
    const large = await store.create(request(), { ...plan, plannedBytes: 1e12 });
    const small = await store.create(request(), plan);
    const urgent = await store.create(request({ priority: 1 }), plan);
    const fits = ({ plannedBytes }: JobPlan): Fit => (plannedBytes < 1e6 ? 'now' : 'later');
    expect(await store.claim('a', fits)).toMatchObject({ id: urgent.id, status: 'running', attempts: 1 });
    expect(await store.claim('a', fits)).toBeUndefined();
    expect(await store.claim('a', always)).toMatchObject({ id: large.id, startedAt: expect.any(Number) });
    expect(await store.claim('a', fits)).toMatchObject({ id: small.id });
    expect(await store.claim('a', always)).toBeUndefined();
    expect(await store.count()).toEqual({
      ...{ queued: 0, running: 3, paused: 0, succeeded: 0, failed: 0, cancelled: 0 },
    });
    expect(await store.count('bob')).toMatchObject({ running: 0 });
  });

  testWith(
    'one that never fits here lets others pass, and fails where nobody else can take it',
    async (store, { isShared }) => {
      const bytes = [1e12, 1000, 1e12, 1e7, 1000];
      const jobs: Job[] = [];
      for (const plannedBytes of bytes) jobs.push(await store.create(request(), { ...plan, plannedBytes }));
      const fitOf = ({ plannedBytes }: JobPlan): Fit =>
        plannedBytes > 1e9 ? 'never' : plannedBytes > 1e6 ? 'later' : 'now';
      expect(await store.claim('a', fitOf)).toMatchObject({ id: jobs[1]!.id });
      // The one that fits later holds the last one back.
      expect(await store.claim('a', fitOf)).toBeUndefined();
      const found = await Promise.all(jobs.map(({ id }) => store.get(id)));
      const status = isShared ? 'queued' : 'failed';
      expect(found.map((job) => job!.status)).toEqual([status, 'running', status, 'queued', 'queued']);
      if (isShared) expect(await store.claim('large', always)).toMatchObject({ id: jobs[0]!.id });
      else {
        expect(found[0]).toMatchObject({
          error: {
            code: 'ERR_COMPACT_DOES_NOT_FIT',
            expected: expect.stringContaining(`${1e12 + 10} bytes`),
          },
          finishedAt: expect.any(Number),
        });
        const events = await store.latestEvents(jobs[0]!.id, { limit: 1 });
        expect(events).toMatchObject([{ level: 'error', data: { plan: { plannedBytes: 1e12 } } }]);
        expect(await store.resume(jobs[0]!.id)).toMatchObject({ status: 'queued', error: undefined });
      }
    },
  );

  testWith(
    'one for which other programs leave no room waits, or is left to other servers where there are any',
    async (store, { isShared }) => {
      const large = await store.create(request(), { ...plan, plannedBytes: 1e12 });
      const small = await store.create(request(), plan);
      const fitOf = ({ plannedBytes }: JobPlan): Fit => (plannedBytes > 1e9 ? 'crowded' : 'now');
      expect((await store.claim('a', fitOf))?.id).toBe(isShared ? small.id : undefined);
      expect(await store.get(large.id)).toMatchObject({ status: 'queued', error: undefined });
      expect(await store.claim('a', always)).toMatchObject({ id: large.id });
    },
  );

  testWith(
    'what a job needs is not retired before its end, and nothing needs it afterwards',
    async (store) => {
      const job = await store.create(request({ needs: ['file-1', 'file-2', 'file-1'] }), plan);
      expect(await store.retire('file-2')).toBe(job.id);
      await store.requestStop(job.id, 'paused');
      expect(await store.retire('file-2')).toBe(job.id);
      expect(await store.retire('file')).toBeUndefined();
      await store.requestStop(job.id, 'cancelled');
      const failing = await store.create(request({ needs: ['file-2'] }), plan, 'key');
      await store.claim('a', always);
      await store.finish(failing.id, 'a', failed, message('failed'));
      for (let times = 0; times < 2; times++) expect(await store.retire('file-2')).toBeUndefined();
      const gone = { ...stateError, op: 'file-2' };
      await expect(store.create(request({ needs: ['file-1', 'file-2'] }), plan)).rejects.toMatchObject(gone);
      await expect(store.resume(failing.id)).rejects.toMatchObject(gone);
      expect(await store.create(request(), plan, 'key')).toMatchObject({ id: failing.id });
      expect(await store.count()).toMatchObject({ queued: 0, failed: 1, cancelled: 1 });
      await store.create(request({ needs: ['file-1'] }), plan);
    },
  );

  testWith('a model is forgotten once, and the job stays', async (store) => {
    const { id } = await store.create(request(), plan);
    await expect(store.forgetModel(id)).rejects.toMatchObject(stateError);
    await expect(store.forgetModel(unknownId)).rejects.toMatchObject(unknownError);
    await store.claim('a', always);
    await store.finish(id, 'a', succeeded, message('done'));
    for (let times = 0; times < 2; times++)
      expect((await store.forgetModel(id)).result).toEqual({ step: 10, loss: 0.5 });
    const events = await store.latestEvents(id, { limit: 2 });
    expect(events.map((event) => event.message)).toEqual(['The model of the job is deleted', 'done']);
  });

  testWith('jobs are listed by their labels', async (store) => {
    const strange = 'ü \0 \ud800 \' "%';
    const all = [
      await store.create(request({ labels: { team: 'a', [strange]: strange } }), plan),
      await store.create(request({ labels: { team: 'a', run: '2' } }), plan),
      await store.create(request(), plan),
      await store.create(request({ labels: { team: 'a' }, owner: 'bob' }), plan),
    ].map(({ id }) => id);
    const found = async (labels: Labels | null, others: object = {}): Promise<readonly string[]> => {
      const { items } = await store.list({ owner: 'alice', limit: 10, labels, ...others });
      return items.map(({ id }) => id);
    };
    expect(await found({ team: 'a' })).toEqual([all[1], all[0]]);
    expect(await found({ team: 'a' }, { after: all[1] })).toEqual([all[0]]);
    expect(await found({ [strange]: strange, team: 'a' })).toEqual([all[0]]);
    expect(await found({ team: 'a%' })).toEqual([]);
    expect(await found(null)).toEqual([all[2]]);
    expect(await found({})).toEqual([all[2], all[1], all[0]]);
  });

  test('what two stores do at once, one that retires and one that creates or resumes, they do one after the other', async () => {
    if (source === undefined) return;
    const place = await source.place();
    const database = await source.open(place);
    const other = database.isShared ? await source.open(place) : database;
    const [creating, retiring] = [await SqlJobStore.open(database), await SqlJobStore.open(other)];
    try {
      for (let i = 0; i < 40; i++) {
        const needs = [`file-${i}`];
        const failing = await creating.create(request({ needs }), plan);
        await creating.claim('a', always);
        await creating.finish(failing.id, 'a', failed, message('failed'));
        const begin = (): Promise<Job> =>
          i % 2 === 0 ? creating.create(request({ needs }), plan) : creating.resume(failing.id);
        const [begun, user] = await Promise.all([
          begin().catch((error: { code: unknown }) => {
            expect(error).toMatchObject(stateError);
            return undefined;
          }),
          retiring.retire(needs[0]!),
        ]);
        expect(user).toBe(begun?.id); // needed by a job that was begun, or retired, and never both
        if (begun !== undefined) await creating.requestStop(begun.id, 'cancelled');
      }
    } finally {
      await database.close();
      await other.close();
    }
  });

  testWith('it is known since when a job waits, however often it has waited before', async (store) => {
    const now = Date.now;
    const at = async (time: number, work: () => Promise<unknown>): Promise<void> => {
      Date.now = () => time;
      try {
        await work();
      } finally {
        Date.now = now;
      }
    };
    expect(await store.waitingSince()).toBeUndefined();
    for (const time of [1000, 2000]) await at(time, () => store.create(request(), plan));
    expect(await store.waitingSince()).toBe(1000);
    let first: Job | undefined;
    await at(3000, async () => (first = await store.claim('a', always)));
    expect(await store.waitingSince()).toBe(2000);
    await at(4000, () => store.finish(first!.id, 'a', { status: 'queued' }, message('back')));
    await store.claim('a', always); // the first again: it is the oldest
    await at(5000, () => store.requeueLost('b', 0));
    await at(5000, () => store.requeueLost('b', 0));
    expect(await store.waitingSince()).toBe(2000);
    for (const { id } of (await store.list({ limit: 5 })).items)
      if (id !== first!.id) await store.requestStop(id, 'paused');
    expect(await store.waitingSince()).toBe(5000);
  });

  testWith(
    'lost processes are counted from one checkpoint to the next, whatever becomes of servers',
    async (store) => {
      const { id } = await store.create(request(), plan);
      const lossesAfter = async (status: 'queued' | 'paused', losses?: number): Promise<unknown> => {
        const end = status === 'queued' && losses !== undefined ? { status, losses } : { status };
        return (await store.finish(id, 'a', end, message('end')))!.losses;
      };
      await store.claim('a', always);
      expect(await lossesAfter('queued', 2)).toBe(2);
      expect(await store.claim('a', always)).toMatchObject({ losses: 2 });
      await store.progress(id, 'a', stepDone(1));
      expect(await store.requeueLost('b', 0)).toMatchObject([{ id, losses: 2 }]);
      await store.claim('a', always);
      expect(await lossesAfter('queued')).toBe(2);
      await store.claim('a', always);
      await store.progress(id, 'a', {
        ...stepDone(2),
        checkpoint: { step: 2, path: 'checkpoint-2', metrics: {} },
      });
      expect(await store.get(id)).toMatchObject({ losses: 0 });
      expect(await lossesAfter('queued', 1)).toBe(1);
      await store.claim('a', always);
      expect(await lossesAfter('paused')).toBe(0);
    },
  );

  testWith(
    'of 200 jobs each is claimed once by one of four; each takes its own by priority and age',
    async (store) => {
      const created: Job[] = [];
      for (let i = 0; i < 200; i++)
        created.push(await store.create(request({ priority: (i * 7) % 3 }), plan));
      const claims = await Promise.all(
        ['a', 'b', 'c', 'd'].map(async (server) => {
          const own: Job[] = [];
          for (let job; (job = await store.claim(server, always)) !== undefined;) own.push(job);
          return own;
        }),
      );
      const expected = created.toSorted((a, b) => b.priority - a.priority).map(({ id }) => id);
      expect(new Set(claims.flat().map(({ id }) => id))).toEqual(new Set(expected));
      expect(claims.flat()).toHaveLength(200);
      for (const own of claims) {
        const places = own.map(({ id }) => expected.indexOf(id));
        expect(places).toEqual(places.toSorted((a, b) => a - b));
      }
    },
  );

  testWith(
    'steps that are done again are told once, and what is new of the last one is told',
    async (store) => {
      const { id } = await store.create(request(), plan);
      await store.claim('a', always);
      for (const step of [1, 2, 3]) expect(await store.progress(id, 'a', stepDone(step))).toBe(true);
      const evaluated = { step: 3, trainedTokens: 300, events: [metrics(3, ['evalLoss'])] };
      await store.progress(id, 'a', evaluated);
      await store.finish(id, 'a', { status: 'queued' }, message('its process was lost'));
      expect(await store.claim('a', always)).toMatchObject({ attempts: 2, step: 3, trainedTokens: 300 });
      // The last checkpoint was that of step 1.
      for (const step of [2, 3]) await store.progress(id, 'a', stepDone(step));
      await store.progress(id, 'a', evaluated);
      expect(await store.get(id)).toMatchObject({ step: 3, trainedTokens: 300 });
      await store.progress(id, 'a', {
        step: 5,
        trainedTokens: 500,
        events: [metrics(4), message('ä\0🙂'), metrics(5)],
      });
      const job = (await store.get(id))!;
      expect(job).toMatchObject({ step: 5, trainedTokens: 500 });
      const events = await allEvents(store, job);
      const told = events
        .filter(({ type }) => type === 'metrics')
        .map(({ data }) => Object.keys(data).concat(String(data.step)));
      expect(told).toEqual([
      ['step', 'loss', '1'], ['step', 'loss', '2'], ['step', 'loss', '3'], ['step', 'evalLoss', '3'],
      ['step', 'loss', '4'], ['step', 'loss', '5'],
    ]); // prettier-ignore
      expect(events.map((event) => event.message)).toContain('ä\0🙂');
      await expectNoGaps(store, job);
      expect(await store.events(id, { after: 2, limit: 2 })).toEqual(events.slice(2, 4));
      expect(await store.events(id, { after: 1000, limit: 2 })).toEqual([]);
      expect(await store.latestEvents(id, { limit: 2 })).toEqual(events.toReversed().slice(0, 2));
      expect(await store.latestEvents(id, { before: 3, limit: 10 })).toEqual(events.slice(0, 2).toReversed());
      expect(await store.latestEvents(id, { before: 1, limit: 1 })).toEqual([]);
    },
  );

  testWith('events that are told at once have ids of their own', async (store) => {
    const job = await store.create(request(), plan);
    await store.claim('a', always);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store.progress(job.id, 'a', {
          step: 0,
          trainedTokens: 0,
          events: [message(`${i}`), message(`${i}`)],
        }),
      ),
    );
    const many = Array.from({ length: 250 }, (_, i) => message(`many ${i}`));
    await store.progress(job.id, 'a', { step: 0, trainedTokens: 0, events: many });
    await expectNoGaps(store, job);
    const events = await allEvents(store, job);
    expect(events.slice(-250).map((event) => event.message)).toEqual(many.map((event) => event.message));
    expect(events).toHaveLength(2 + 40 + 250);
  });

  testWith('checkpoints are known by their step', async (store) => {
    const job = await store.create(request(), plan);
    await store.claim('a', always);
    const at = (step: number, loss: number) => ({ step, path: `checkpoint-${step}`, metrics: { loss } });
    for (const checkpoint of [at(2, 0.5), at(4, 0.25), at(2, 0.125)])
      await store.progress(job.id, 'a', { ...stepDone(checkpoint.step), checkpoint });
    expect(await store.checkpoints(job.id)).toEqual(
      [at(2, 0.125), at(4, 0.25)].map((checkpoint) => ({ ...checkpoint, createdAt: expect.any(Number) })),
    );
    expect(await store.checkpoints(unknownId)).toEqual([]);
  });

  testWith('who does not run a job changes nothing of it', async (store) => {
    const job = await store.create(request(), plan);
    expect(await store.progress(job.id, 'a', stepDone(1))).toBe(false);
    await store.claim('a', always);
    const before = [await store.get(job.id), await allEvents(store, job)];
    expect(await store.progress(job.id, 'b', stepDone(1))).toBe(false);
    expect(await store.finish(job.id, 'b', succeeded, message('done'))).toBeUndefined();
    expect(await store.progress(unknownId, 'a', stepDone(1))).toBe(false);
    expect([await store.get(job.id), await allEvents(store, job)]).toEqual(before);
    const ended = await store.finish(job.id, 'a', succeeded, message('done'));
    expect(ended).toMatchObject({ ...succeeded, finishedAt: expect.any(Number) });
    expect(await store.finish(job.id, 'a', failed, message('done'))).toBeUndefined();
    expect(await store.progress(job.id, 'a', stepDone(11))).toBe(false);
    expect(await store.get(job.id)).toEqual(ended);
  });

  testWith('a job that waits is paused and cancelled at once', async (store) => {
    const job = await store.create(request(), plan);
    await expect(store.resume(job.id)).rejects.toMatchObject({ ...stateError, received: 'queued' });
    expect(await store.requestStop(job.id, 'paused')).toMatchObject({
      status: 'paused',
      finishedAt: undefined,
    });
    await expect(store.requestStop(job.id, 'paused')).rejects.toMatchObject(stateError);
    expect(await store.claim('a', always)).toBeUndefined();
    expect(await store.resume(job.id)).toMatchObject({ status: 'queued' });
    await store.requestStop(job.id, 'paused');
    expect(await store.requestStop(job.id, 'cancelled')).toMatchObject({
      status: 'cancelled',
      finishedAt: expect.any(Number),
    });
    for (const stop of ['paused', 'cancelled'] as const)
      await expect(store.requestStop(job.id, stop)).rejects.toMatchObject({
        ...stateError,
        received: 'cancelled',
      });
    await expect(store.resume(job.id)).rejects.toMatchObject(stateError);
    await expect(store.requestStop(unknownId, 'paused')).rejects.toMatchObject(unknownError);
    const statuses = (await allEvents(store, job)).map(({ data }) => data.status);
    expect(statuses).toEqual(['queued', 'paused', 'queued', 'paused', 'cancelled']);
  });

  testWith('a job that runs is asked, and ends when its process has come to it', async (store) => {
    const job = await store.create(request(), plan);
    await store.claim('a', always);
    expect(await store.requestStop(job.id, 'paused')).toMatchObject({
      status: 'running',
      stopRequest: 'paused',
    });
    const numEvents = (await allEvents(store, job)).length;
    await store.requestStop(job.id, 'paused');
    expect(await allEvents(store, job)).toHaveLength(numEvents);
    const paused = await store.finish(job.id, 'a', { status: 'paused' }, message('paused'));
    expect(paused).toMatchObject({ status: 'paused', stopRequest: undefined, finishedAt: undefined });
    await store.resume(job.id);
    await store.claim('a', always);
    await store.requestStop(job.id, 'paused');
    expect(await store.requestStop(job.id, 'cancelled')).toMatchObject({ stopRequest: 'cancelled' });
    await expect(store.requestStop(job.id, 'paused')).rejects.toMatchObject(stateError);
    const ended = await store.finish(job.id, 'a', { status: 'paused' }, message('paused'));
    expect(ended).toMatchObject({ status: 'cancelled', attempts: 2, finishedAt: expect.any(Number) });
    expect((await allEvents(store, job)).at(-1)).toMatchObject({ data: { status: 'cancelled' } });
  });

  testWith('one that failed goes on when it is resumed, and its error is gone', async (store) => {
    const job = await store.create(request(), plan);
    await store.claim('a', always);
    await store.progress(job.id, 'a', stepDone(4));
    expect(await store.finish(job.id, 'a', failed, message('failed'))).toMatchObject(failed);
    const resumed = await store.resume(job.id);
    expect(resumed).toMatchObject({ status: 'queued', error: undefined, finishedAt: undefined, step: 4 });
    const { startedAt } = (await store.get(job.id))!;
    expect(await store.claim('b', always)).toMatchObject({ attempts: 2, startedAt });
    expect(await store.finish(job.id, 'b', succeeded, message('done'))).toMatchObject({
      ...succeeded,
      error: undefined,
    });
    await expectNoGaps(store, job);
  });

  testWith(
    'jobs of a server that is gone are queued again, or come to the end that they were asked for',
    async (store, database) => {
      const jobs: Job[] = [];
      for (let i = 0; i < 4; i++) {
        jobs.push(await store.create(request(), plan));
        await store.claim(i === 3 ? 'here' : 'gone', always);
      }
      await store.renew('gone');
      await store.requestStop(jobs[1]!.id, 'paused');
      await store.requestStop(jobs[2]!.id, 'cancelled');
      if (database.isShared) {
        // It has beaten since it was looked at for the first time; an hour is not over.
        expect(await store.requeueLost('here', 3_600_000)).toEqual([]);
        await store.renew('gone');
        expect(await store.requeueLost('here', 3_600_000)).toEqual([]);
      }
      const lost = await store.requeueLost('here', 0);
      expect(lost.map(({ status }) => status)).toEqual(['queued', 'paused', 'cancelled']);
      expect(lost).toEqual(await Promise.all(jobs.slice(0, 3).map(({ id }) => store.get(id))));
      expect(await store.requeueLost('here', 0)).toEqual([]);
      expect(await store.get(jobs[3]!.id)).toMatchObject({ status: 'running' });
      expect(await store.progress(jobs[0]!.id, 'gone', stepDone(1))).toBe(false);
      const events = await allEvents(store, jobs[0]!);
      expect(events.map(({ level }) => level)).toEqual(['info', 'info', 'warn', 'info']);
      expect(await store.claim('here', always)).toMatchObject({ id: jobs[0]!.id, attempts: 2 });
    },
  );

  testWith(
    'old jobs are forgotten, and the metrics of those that ended become fewer',
    async (store, database) => {
      const ended: Job[] = [];
      for (let i = 0; i < 40; i++) {
        const { id } = await store.create(request(), plan, `key ${i}`);
        await store.claim('a', always);
        const events = [
          message('first'),
          ...Array.from({ length: 37 }, (_, step) => metrics(step)),
          message('last'),
        ];
        await store.progress(id, 'a', { ...stepDone(37), events });
        ended.push((await store.finish(id, 'a', succeeded, message('done')))!);
      }
      const running = await store.create(request(), plan);
      await store.claim('a', always);
      const events = Array.from({ length: 37 }, (_, step) => metrics(step));
      await store.progress(running.id, 'a', { ...stepDone(37), events });
      const recent = ended.splice(-5);
      // The clock of the test: only its last five ended lately.
      await database.query('UPDATE compact_jobs SET finished_at = 1000 WHERE sequence <= 35');
      const forgotten = await store.compact({ endedBefore: 1001, maxEvents: 10 });
      expect(forgotten.toSorted()).toEqual(ended.map(({ id }) => id).toSorted());
      expect(await store.count()).toMatchObject({ succeeded: 5, running: 1 });
      for (const { id } of ended) expect(await store.events(id, { limit: 1 })).toEqual([]);
      expect(await database.query('SELECT DISTINCT job FROM compact_job_events ORDER BY job')).toHaveLength(
        6,
      );
      for (const job of recent) {
        const left = await allEvents(store, job);
        const steps = left.filter(({ type }) => type === 'metrics').map(({ data }) => Number(data.step));
        expect(steps).toHaveLength(10);
        expect(steps.at(-1)).toBe(36);
        const distances = steps.slice(1).map((step, i) => step - steps[i]!);
        expect(Math.min(...distances)).toBeGreaterThanOrEqual(3);
        expect(Math.max(...distances)).toBeLessThanOrEqual(4);
        expect(left.filter(({ type }) => type === 'message')).toHaveLength(5);
      }
      expect((await allEvents(store, running)).filter(({ type }) => type === 'metrics')).toHaveLength(37);
      expect(await store.compact({ endedBefore: 1001, maxEvents: 10 })).toEqual([]);
      // A key is free again with the job that had it.
      expect((await store.create(request({ priority: 5 }), plan, 'key 0')).priority).toBe(5);
    },
  );

  testWith('a job whose model another still needs is not forgotten', async (store, database) => {
    const { id } = await store.create(request(), plan);
    await store.claim('a', always);
    await store.finish(id, 'a', succeeded, message('done'));
    await database.query('UPDATE compact_jobs SET finished_at = 1000');
    const user = await store.create(request({ needs: [id] }), plan);
    expect(await store.compact({ endedBefore: 1001, maxEvents: 10 })).toEqual([]);
    expect(await store.get(id)).toBeDefined();
    await store.requestStop(user.id, 'cancelled');
    expect(await store.compact({ endedBefore: 1001, maxEvents: 10 })).toEqual([id]);
  });

  testWith(
    'a transaction is done whole or not at all, and others see none of it before',
    async (_, database) => {
      await database.query('CREATE TABLE numbers (value BIGINT NOT NULL)');
      await database.query('INSERT INTO numbers (value) VALUES (0)');
      const failure = new Error('on purpose');
      const failing = database.transaction(async (transaction) => {
        await transaction.query('UPDATE numbers SET value = 100');
        expect(await transaction.query('SELECT value FROM numbers')).toEqual([{ value: 100 }]);
        throw failure;
      });
      await expect(failing).rejects.toBe(failure);
      expect(await database.query('SELECT value FROM numbers')).toEqual([{ value: 0 }]);
      const refused = database.transaction(async (transaction) => {
        await transaction.query('UPDATE numbers SET value = 100');
        await transaction.query('UPDATE numbers SET value = NULL');
      });
      await expect(refused).rejects.toMatchObject({ code: 'ERR_COMPACT_STORE', cause: expect.anything() });
      const lock = database.isShared ? ' FOR UPDATE' : '';
      await Promise.all(
        Array.from({ length: 20 }, () =>
          database.transaction(async (transaction) => {
            const [row] = await transaction.query(`SELECT value FROM numbers${lock}`);
            await new Promise(setImmediate);
            await transaction.query('UPDATE numbers SET value = $1', [Number(row!.value) + 1]);
          }),
        ),
      );
      expect(await database.query('SELECT value, COUNT(*) AS n FROM numbers GROUP BY value')).toEqual([
        { value: 20, n: 1 },
      ]);
      const large = Number.MAX_SAFE_INTEGER;
      await database.query('UPDATE numbers SET value = $1', [large]);
      expect(await database.query('SELECT value FROM numbers WHERE value = $1', [large])).toEqual([
        { value: large },
      ]);
    },
  );

  testWith(
    'tables are made once, brought up to date, and left alone by an older version',
    async (_, database) => {
      const first = { version: 1, statements: ['CREATE TABLE things (name TEXT NOT NULL)'] };
      const second = { version: 2, statements: ['ALTER TABLE things ADD COLUMN size BIGINT', 'nonsense'] };
      await Promise.all([1, 2, 3].map(() => migrate(database, 'things', [first])));
      await database.query(`INSERT INTO things (name) VALUES ('a')`);
      await expect(migrate(database, 'things', [first, second])).rejects.toMatchObject({
        code: 'ERR_COMPACT_STORE',
      });
      expect(await database.query('SELECT * FROM things')).toEqual([{ name: 'a' }]);
      second.statements.pop();
      await migrate(database, 'things', [first, second]);
      expect(await database.query('SELECT * FROM things')).toEqual([{ name: 'a', size: null }]);
      await expect(migrate(database, 'things', [first])).rejects.toMatchObject({
        code: 'ERR_COMPACT_STORE',
        received: 'version 2',
      });
      // Each part counts versions of its own.
      await migrate(database, 'others', [{ version: 1, statements: ['CREATE TABLE others (id BIGINT)'] }]);
      expect(await database.query('SELECT * FROM others')).toEqual([]);
    },
  );

  test('jobs of the first version are as they were', async () => {
    if (source === undefined) return;
    const database = await source.open(await source.place());
    await migrate(database, 'jobs', jobMigrations.slice(0, 1));
    const id = `job-${'1'.repeat(32)}`;
    await database.query(
      `INSERT INTO compact_jobs (sequence, id, owner, priority, recipe, details, plan, created_at, status,
         attempts, step, trained_tokens, num_events, num_metrics, last_metrics)
       VALUES (1, $1, 'alice', 0, '{}', '{}', $2, 5, 'queued', 3, 2, 200, 0, 0, '{"step":2,"names":["loss"]}')`,
      [id, JSON.stringify(plan)],
    );
    const store = await SqlJobStore.open(database);
    const before = { id, owner: 'alice', plan, status: 'queued', step: 2, trainedTokens: 200 };
    expect(await store.get(id)).toMatchObject({ ...before, attempts: 3, losses: 0 });
    expect(await store.claim('a', always)).toMatchObject({ id, attempts: 4 });
    await database.close();
  });

  test('what was done is there when it is opened again; after the end nothing is done', async () => {
    if (source === undefined) return;
    const place = await source.place();
    const database = await source.open(place);
    const store = await SqlJobStore.open(database);
    const job = await store.create(request(), plan);
    await store.claim('a', always);
    const pending = store.progress(job.id, 'a', stepDone(1));
    await database.close();
    expect(await pending).toBe(true);
    await database.close();
    await expect(store.get(job.id)).rejects.toMatchObject({ code: 'ERR_COMPACT_DISPOSED' });
    await expect(database.transaction(async () => 1)).rejects.toMatchObject({ code: 'ERR_COMPACT_DISPOSED' });
    const again = await source.open(place);
    expect(await (await SqlJobStore.open(again)).get(job.id)).toMatchObject({ step: 1, status: 'running' });
    await again.close();
  });
});
