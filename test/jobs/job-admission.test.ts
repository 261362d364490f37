/** What becomes of jobs beside each other, and of those that are asked to end. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { compactError } from '../../lib/errors.js';
import type { Job, JobPlan } from '../../lib/jobs/index.js';
import {
  allEvents,
  become,
  GiB,
  isStatus,
  JobFixture,
  type JobQueue,
  numSteps,
  owner,
  processOf,
} from '../helpers/job-fixture.js';
import { killAt } from '../helpers/killed-processes.js';
import { MemoryJobStore } from '../helpers/memory-job-store.js';
import { RecordedSpans } from '../helpers/recorded-spans.js';

const patienceMs = 600_000;

let fixture: JobFixture;
beforeAll(async () => {
  fixture = await JobFixture.make();
});
afterAll(() => fixture.remove());

const open = (change?: object): Promise<JobQueue> => fixture.openQueue(change);
const request = (change?: Readonly<Record<string, unknown>>) => fixture.request(change);
async function planOf(recipe: Readonly<Record<string, unknown>>): Promise<JobPlan> {
  await using queue = await open();
  return await queue.plan(recipe);
}

/** Trains until it is stopped. */
const endless = { maxSteps: 1_000_000, loggingSteps: 1000, evalSteps: 0, saveSteps: 0 };
const failureOf = (work: Promise<unknown>): Promise<Record<string, unknown>> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: Record<string, unknown>) => error,
  );
const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
const isTraining = ({ status, step }: Job): boolean => status === 'running' && step > 0;

describe('jobs', () => {
  test('run side by side while they fit, and wait while they do not', async () => {
    await using probe = await open();
    const { plannedBytes, overheadBytes } = await probe.plan(fixture.recipe(endless));
    const memoryBytes = 2 * (plannedBytes + overheadBytes);
    await using queue = await open({ devices: [{ name: 'cpu', memoryBytes }], maxRunning: 3 });
    const [first, second, third] = [
      await queue.create(request(endless)),
      await queue.create(request(endless)),
      await queue.create(request({ ...endless, maxSteps: 3 })),
    ];
    await Promise.all([first, second].map(({ id }) => become(queue, id, isTraining)));
    expect(await queue.get(third.id, owner)).toMatchObject({ status: 'queued', attempts: 0 });
    expect(await queue.status(owner)).toMatchObject({
      devices: [{ name: 'cpu', memoryBytes, takenBytes: memoryBytes }],
      counts: { running: 2, queued: 1 },
      waitingSince: expect.any(Number),
      plannedBytes: 2 * plannedBytes,
      runningJobs: [first.id, second.id],
    });
    expect((await queue.status('somebody else')).runningJobs).toEqual([]);
    await queue.cancel(first.id, owner);
    await become(queue, third.id, isStatus('succeeded'));
    const { steps, trainedTokens } = (await queue.status(owner)).throughput;
    expect(steps).toBeGreaterThanOrEqual(5); // one at least of each endless one, and three
    expect(trainedTokens).toBeGreaterThan(steps);
    expect(await queue.get(first.id, owner)).toMatchObject({ status: 'cancelled' });
    expect(await queue.get(second.id, owner)).toMatchObject({ status: 'running', attempts: 1 });
  });

  test('run no more at a time than they may', async () => {
    await using queue = await open({ maxRunning: 1 });
    const first = await queue.create(request(endless));
    const second = await queue.create(request(endless));
    await become(queue, first.id, isTraining);
    expect((await queue.get(second.id, owner))!.status).toBe('queued');
  });

  test('that never fit are refused, with plan and remedies, and nothing is queued', async () => {
    await using queue = await open({ devices: [{ name: 'cpu', memoryBytes: 161 * 2 ** 20 }] });
    const error = await failureOf(queue.create(request({ batchSize: 64 })));
    expect(error).toMatchObject({
      name: 'CompactError',
      code: 'ERR_COMPACT_DOES_NOT_FIT',
      details: {
        plan: { device: 'cpu', plannedBytes: expect.any(Number) },
        remedies: expect.arrayContaining([expect.objectContaining({ fits: expect.any(Boolean) })]),
      },
    });
    expect((await queue.list(owner, { limit: 10 })).items).toEqual([]);
  });

  test.each<[string, object, string, string]>([
    ['a key that is unknown', { batchsize: 3 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', 'batchsize'],
    ['a model that is not there', { model: 'none' }, 'ERR_COMPACT_MODEL_UNKNOWN', 'preset'],
    ['no model', { model: undefined }, 'ERR_COMPACT_CONFIG_VALUE', 'model'],
    ['a preset that is none', { model: { preset: '/etc' } }, 'ERR_COMPACT_CONFIG_VALUE', 'model.preset'],
    ['a folder of its own', { outputDirectory: 'x' }, 'ERR_COMPACT_CONFIG_VALUE', 'outputDirectory'],
    ['a device that is not for jobs', { device: 'cuda:0' }, 'ERR_COMPACT_DEVICE_UNAVAILABLE', 'device'],
    ['what is no value', { signal: () => {} }, 'ERR_COMPACT_TYPE', 'recipe'],
    ['records that are too long', { sequenceLength: 4 }, 'ERR_COMPACT_DATA_RECORD', 'data'],
  ])('with %s are refused', async (_, change, code, op) => {
    await using queue = await open();
    expect(await failureOf(queue.create(request({ ...change })))).toMatchObject({
      name: 'CompactError',
      code,
      op,
    });
  });

  test('whose data has gone meanwhile fail with the typed error, and the others go on', async () => {
    await using queue = await open({ maxRunning: 1 });
    const first = await queue.create(request(endless));
    const records = join(fixture.folder, 'gone.jsonl');
    writeFileSync(records, '{"text":"one"}\n{"text":"two"}\n');
    const second = await queue.create(request({ data: { records } }));
    const third = await queue.create(request({ maxSteps: 1 }));
    rmSync(records);
    await queue.cancel(first.id, owner);
    const failed = await become(queue, second.id, isStatus('failed'));
    expect(failed.error).toMatchObject({ code: 'ERR_COMPACT_DATA_READ', what: expect.any(String) });
    expect((await allEvents(queue, second.id)).at(-1)).toMatchObject({ level: 'error', data: failed.error });
    await become(queue, third.id, isStatus('succeeded'));
  });
});

describe('a job', () => {
  test('is paused with a checkpoint, from which it goes on', async () => {
    await using queue = await open();
    const { id } = await queue.create(request(endless));
    await become(queue, id, isTraining);
    await queue.pause(id, owner);
    const { step } = await become(queue, id, isStatus('paused'));
    expect((await queue.checkpoints(id, owner)).map((checkpoint) => checkpoint.step)).toEqual([step]);
    expect(existsSync(join(queue.folder(id), `checkpoint-${step}`))).toBe(true);
    expect(await queue.count(owner)).toMatchObject({ paused: 1, running: 0 });
    const events = await allEvents(queue, id);
    const before = events.at(-1)!.id;
    expect(await queue.latestEvents(id, owner, { before, limit: 2 })).toEqual(
      events.slice(-3, -1).toReversed(),
    );
    await queue.resume(id, owner);
    await become(queue, id, (job) => isTraining(job) && job.step > step);
    const messages = (await allEvents(queue, id)).map(({ message }) => message);
    expect(messages.some((message) => message.startsWith(`Training goes on after step ${step} `))).toBe(true);
    await queue.cancel(id, owner);
    await become(queue, id, isStatus('cancelled'));
  });

  test('that does not stop is killed when its time is over, however often it is asked', async () => {
    await using queue = await open({ renewMs: 20, pauseGraceMs: 400 });
    const { id } = await queue.create(request(endless));
    await become(queue, id, isTraining);
    process.kill(processOf(queue, id), 'SIGSTOP');
    await queue.pause(id, owner);
    await become(queue, id, isStatus('paused'));
    expect(await queue.checkpoints(id, owner)).toEqual([]);
  });

  test('is cancelled while it waits, runs, or is paused, and not after its end', async () => {
    await using queue = await open({ maxRunning: 1 });
    const running = await queue.create(request(endless));
    const waiting = await queue.create(request(endless));
    expect((await queue.cancel(waiting.id, owner)).status).toBe('cancelled');
    await queue.pause(running.id, owner);
    await become(queue, running.id, isStatus('paused'));
    expect((await queue.cancel(running.id, owner)).status).toBe('cancelled');
    const done = await queue.create(request({ maxSteps: 1 }));
    await become(queue, done.id, isStatus('succeeded'));
    for (const { id } of [done, waiting])
      expect(await failureOf(queue.cancel(id, owner))).toMatchObject({ code: 'ERR_COMPACT_JOB_STATE' });
  });

  test("is nobody else's", async () => {
    await using queue = await open();
    const { id } = await queue.create(request(endless));
    const other = 'somebody else';
    expect(await queue.get(id, other)).toBeUndefined();
    expect((await queue.list(other, { limit: 10 })).items).toEqual([]);
    const calls = [
      queue.cancel(id, other),
      queue.pause(id, other),
      queue.resume(id, other),
      queue.events(id, other, { limit: 1 }),
      queue.latestEvents(id, other, { limit: 1 }),
      queue.checkpoints(id, other),
      queue.cancel('job-none', owner),
    ];
    for (const call of calls)
      expect(await failureOf(call)).toMatchObject({ code: 'ERR_COMPACT_JOB_UNKNOWN' });
    expect(() => queue.folder('../elsewhere')).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_JOB_UNKNOWN' }),
    );
  });

  test('whose process is lost again and again fails, and goes on when it is asked to', async () => {
    const tracer = new RecordedSpans();
    await using queue = await open({ tracer });
    const moment = { step: 3, what: 'step' } as const;
    using kills = killAt(fixture.newDirectory(), [moment, moment, moment]);
    const { id } = await queue.create(request());
    const failed = await become(queue, id, isStatus('failed'));
    expect(kills.killed()).toHaveLength(3);
    expect(failed).toMatchObject({ attempts: 3, error: { code: 'ERR_COMPACT_JOB_LOST' } });
    expect(failed.error!.what).toContain('SIGKILL');
    await queue.resume(id, owner);
    await become(queue, id, isStatus('succeeded'));
    expect(tracer.spans.map(({ errors, numEnds }) => [errors.length, numEnds])).toEqual([
      ...Array.from({ length: 3 }, () => [1, 1]),
      [0, 1],
    ]);
    expect(tracer.spans.at(-1)).toMatchObject({
      name: 'compact.job',
      attributes: {
        'compact.job.id': id,
        'compact.job.attempt': 4,
        'compact.device': 'cpu',
        'compact.job.step': numSteps,
      },
    });
  });

  test('whose processes were lost on a server of before is not tried as often again', async () => {
    const store = new MemoryJobStore();
    const plan = await planOf(fixture.recipe());
    const { id } = await store.create(request(), plan);
    await store.claim('before', () => 'now');
    const lost = { level: 'warn', type: 'message', message: 'lost twice', data: {} } as const;
    await store.finish(id, 'before', { status: 'queued', losses: 2 }, lost);
    using kills = killAt(fixture.newDirectory(), [{ step: 3, what: 'step' }]);
    await using queue = await open({ store });
    await become(queue, id, isStatus('failed'));
    expect(kills.killed()).toHaveLength(1);
  });

  test('that no device can take any more fails, and those behind it begin', async () => {
    const store = new MemoryJobStore();
    const plan = await planOf(fixture.recipe());
    const large = await store.create(request(), { ...plan, plannedBytes: 1e15 });
    const other = await store.create(request(), { ...plan, device: 'cuda' });
    const small = await store.create(request({ maxSteps: 1 }), plan);
    await using queue = await open({ store });
    await become(queue, small.id, isStatus('succeeded'));
    for (const { id } of [large, other])
      expect(await queue.get(id, owner)).toMatchObject({
        status: 'failed',
        error: { code: 'ERR_COMPACT_DOES_NOT_FIT' },
      });
  });
});

describe('a job that other programs leave no room for', () => {
  const free = { availableMemory: 0 };
  beforeAll(() => {
    jest.spyOn(process, 'availableMemory').mockImplementation(() => free.availableMemory);
  });
  afterAll(() => void jest.restoreAllMocks());

  test('waits, and begins once they have given it back', async () => {
    const store = new MemoryJobStore();
    const plan = await planOf(fixture.recipe());
    const { id } = await store.create(request({ maxSteps: 1 }), plan);
    free.availableMemory = plan.plannedBytes;
    await using queue = await open({ store, devices: undefined, renewMs: 20 });
    expect(queue.fitOf(plan)).toBe('crowded');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await queue.get(id, owner)).toMatchObject({ status: 'queued', error: undefined });
    const [cpu] = (await queue.status(owner)).devices;
    expect(cpu!.capacityBytes).toBeGreaterThan(plan.plannedBytes + plan.overheadBytes);
    free.availableMemory = 4 * GiB;
    await become(queue, id, isStatus('succeeded'));
  });

  test('fails where all of the memory, or what there is by its limit, would not hold it', async () => {
    const plan = await planOf(fixture.recipe());
    free.availableMemory = 4 * GiB;
    for (const [plannedBytes, memoryLimitBytes] of [
      [1e15, undefined],
      [plan.plannedBytes, plan.plannedBytes],
    ]) {
      const store = new MemoryJobStore();
      const { id } = await store.create(request(), { ...plan, plannedBytes: plannedBytes! });
      await using queue = await open({ store, devices: undefined, memoryLimitBytes, renewMs: 20 });
      const { error } = await become(queue, id, isStatus('failed'));
      expect(error).toMatchObject({ code: 'ERR_COMPACT_DOES_NOT_FIT' });
    }
  });
});

describe('a store', () => {
  test('that cannot be reached for a while is asked again, and hears everything once', async () => {
    const store = new MemoryJobStore();
    const problems: unknown[] = [];
    const failing = new Set(['checkpoints', 'progress', 'finish']);
    const unreliable = new Proxy(store, {
      get(target, name: keyof MemoryJobStore) {
        const method = target[name].bind(target) as (...args: readonly unknown[]) => unknown;
        return (...args: readonly unknown[]) =>
          failing.delete(name)
            ? Promise.reject(compactError('ERR_COMPACT_STORE', 'the database is away'))
            : method(...args);
      },
    });
    const onProblem = (problem: unknown): void => void problems.push(problem);
    await using queue = await open({ store: unreliable, onProblem });
    const { id } = await queue.create(request());
    await become(queue, id, isStatus('succeeded'));
    expect(problems).toMatchObject(Array.from({ length: 3 }, () => ({ code: 'ERR_COMPACT_STORE' })));
    const metrics = (await allEvents(queue, id)).filter(({ type }) => type === 'metrics');
    expect(metrics.map(({ data }) => data['step'])).toEqual(
      Array.from({ length: numSteps }, (_, i) => i + 1),
    );
  });

  test('that has given a job to another server ends it here, and only here', async () => {
    const store = new MemoryJobStore();
    await using queue = await open({ store });
    const { id } = await queue.create(request({ ...endless, loggingSteps: 1 }));
    await become(queue, id, isTraining);
    const pid = processOf(queue, id);
    await store.requeueLost('other');
    await store.claim('other', () => 'now');
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await store.get(id)).toMatchObject({ status: 'running', attempts: 2 });
  });

  test('that gives a job back begins it anew, once the process of before is gone', async () => {
    const store = new MemoryJobStore();
    await using queue = await open({ store, renewMs: 20 });
    const { id } = await queue.create(request({ ...endless, saveSteps: 50 }));
    await become(queue, id, isTraining);
    const pid = processOf(queue, id);
    await store.requeueLost('other');
    await become(queue, id, ({ attempts, ...job }) => attempts === 2 && isTraining({ ...job, attempts }));
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    const { step } = (await queue.get(id, owner))!;
    await become(queue, id, (job) => job.step > step + 100);
    expect(await queue.get(id, owner)).toMatchObject({ status: 'running', attempts: 2 });
    expect(processOf(queue, id)).not.toBe(pid);
  });

  test('is told often enough that this server is alive, and for how long others may be silent', async () => {
    const store = new MemoryJobStore();
    const timeouts: number[] = [];
    const told = new Promise<void>((resolve) => {
      jest.spyOn(store, 'requeueLost').mockImplementation(async (_, timeoutMs = NaN) => {
        if (timeouts.push(timeoutMs) === 4) resolve();
        return [];
      });
    });
    await using _ = await open({ store, lostAfterMs: 400 });
    await told; // every 100 ms
    expect(timeouts).toEqual([400, 400, 400, 400]);
  });

  test('tells listeners of every change, whatever they throw', async () => {
    const problems: unknown[] = [];
    await using queue = await open({ onProblem: (problem: unknown) => problems.push(problem) });
    const { id } = await queue.create(request({ maxSteps: 1 }));
    const end = queue.watch(id, () => {
      throw new Error('not mine');
    });
    await become(queue, id, isStatus('succeeded'));
    end();
    expect(problems).not.toHaveLength(0);
    expect(problems).toEqual(problems.map(() => new Error('not mine')));
  });
});

test.each<[object, string]>([
  [{ store: {} }, 'store'],
  [{ directory: '' }, 'directory'],
  [{ devices: [] }, 'devices'],
  [{ devices: [{ name: 'cpu', memoryBytes: 2, capacityBytes: 1 }] }, 'devices.0'],
  [{ maxRunning: 0 }, 'maxRunning'],
  [{ renewMs: 50, lostAfterMs: 50 }, 'renewMs'],
  [{ memoryLimitBytes: '1GiB' }, 'memoryLimitBytes'],
  [{ retention: { endedDays: 0 } }, 'retention.endedDays'],
  [{ retention: { maxEvents: 1.5 } }, 'retention.maxEvents'],
])('a queue with %j is refused', async (change, op) => {
  const refused = { name: 'CompactError', code: 'ERR_COMPACT_CONFIG_VALUE', op };
  expect(await failureOf(open(change))).toMatchObject(refused);
});

test('without a word the devices are measured', async () => {
  await using queue = await open({ devices: undefined, memoryLimitBytes: undefined });
  expect(await queue.plan(fixture.recipe())).toMatchObject({ device: 'cpu' });
});

describe('a queue that is closed', () => {
  test('leaves jobs in the queue with their checkpoints, from which another goes on', async () => {
    const store = new MemoryJobStore();
    const directory = fixture.newDirectory();
    const queue = await open({ store, directory, maxRunning: 1 });
    const { id } = await queue.create(request(endless));
    const waiting = await queue.create(request(endless));
    await become(queue, id, isTraining);
    await queue.close({ graceMs: patienceMs });
    const { step } = (await store.get(id))!;
    expect((await store.list({ limit: 10 })).items).toMatchObject([
      { id: waiting.id, status: 'queued', attempts: 0 },
      { id, status: 'queued', attempts: 1, stopRequest: undefined },
    ]);
    expect((await store.checkpoints(id)).map((checkpoint) => checkpoint.step)).toEqual([step]);
    expect(await failureOf(queue.create(request()))).toMatchObject({ code: 'ERR_COMPACT_DISPOSED' });
    const next = await open({ store, directory, maxRunning: 1 });
    await become(next, id, (job) => job.step > step);
    await next.close({ graceMs: 0 }); // killed: it goes on from where it was
    expect(await store.get(id)).toMatchObject({ status: 'queued', attempts: 2 });
    expect((await store.checkpoints(id)).map((checkpoint) => checkpoint.step)).toEqual([step]);
  });
});
