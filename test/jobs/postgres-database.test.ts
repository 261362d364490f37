/** A server of databases that others share, that restarts, and that is cut off. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import type { Fit } from '../../lib/jobs/device-memory.js';
import { PostgresDatabase } from '../../lib/jobs/postgres-database.js';
import { SqlJobStore } from '../../lib/jobs/sql-job-store.js';
import type { Job } from '../../lib/jobs/job.js';
import { CuttingProxy } from '../helpers/cutting-proxy.js';
import { message, metrics, plan, request } from '../helpers/job-fixtures.js';
import { PostgresServer } from '../helpers/postgres-server.js';

let server: PostgresServer | undefined;
beforeAll(async () => {
  const started = await PostgresServer.start();
  if (typeof started === 'string') console.warn(`skipped: ${started}`);
  else server = started;
});
afterAll(() => server?.stop());

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise(setImmediate);
};

const always = (): Fit => 'now';

/** A test with a new database, opened as often as is asked for; nothing where there is no server. */
const testWith = (
  name: string,
  numOpen: number,
  run: (databases: PostgresDatabase[], url: string, server: PostgresServer) => Promise<void>,
): void =>
  test(name, async () => {
    if (server === undefined) return;
    const url = await server.newDatabase();
    const databases = await Promise.all(Array.from({ length: numOpen }, () => PostgresDatabase.open(url)));
    try {
      await run(databases, url, server);
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  });

/** Tells of steps one after another until it is asked to end; each with a message, which nothing but its number tells apart. */
async function tellSteps(
  store: SqlJobStore,
  { id }: Job,
  name: string,
  isOver: (step: number) => boolean,
): Promise<number> {
  for (let step = 1; ; step++) {
    const events = [metrics(step), message(`step ${step}`)];
    expect(await store.progress(id, name, { step, trainedTokens: step, events })).toBe(true);
    if (isOver(step)) return step;
  }
}

/** Of each step there is one event of each type, and no more. */
async function expectToldOnce(store: SqlJobStore, job: Job, numSteps: number): Promise<void> {
  const events = await store.events(job.id, { limit: 100_000 });
  expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => i + 1));
  const steps = Array.from({ length: numSteps }, (_, i) => `step ${i + 1}`);
  // Of the queue and of the beginning, which came before.
  const told = events.slice(2).map(({ message }) => message);
  expect(told).toEqual(steps.flatMap((step) => [step, step]));
  expect(await store.get(job.id)).toMatchObject({ step: numSteps });
}

async function claimed(store: SqlJobStore, name: string): Promise<Job> {
  await store.create(request(), plan);
  return (await store.claim(name, always))!;
}

testWith(
  'a server that is killed and started again meanwhile: each change is there once',
  1,
  async ([database], _, server) => {
    const store = await SqlJobStore.open(database!);
    const jobs = [await claimed(store, 'a'), await claimed(store, 'a'), await claimed(store, 'a')];
    let isOver = false;
    let numSteps = 0;
    const telling = jobs.map((job) =>
      tellSteps(store, job, 'a', (step) => {
        numSteps++;
        return isOver && step >= 20;
      }),
    );
    for (let kills = 1; kills <= 3; kills++) {
      const before = numSteps;
      await until(() => numSteps >= before + 10);
      await server.kill();
      await server.run();
    }
    isOver = true;
    const steps = await Promise.all(telling);
    for (const [i, job] of jobs.entries()) await expectToldOnce(store, job, steps[i]!);
  },
);

testWith(
  'connections that are ended again and again: each change is there once',
  1,
  async ([database], url, server) => {
    const store = await SqlJobStore.open(database!);
    const jobs = [await claimed(store, 'a'), await claimed(store, 'a')];
    let isOver = false;
    const telling = Promise.all(jobs.map((job) => tellSteps(store, job, 'a', () => isOver)));
    for (let cuts = 0; cuts < 20; cuts++) {
      await store.get(jobs[0]!.id);
      await server.cutOff(url);
    }
    isOver = true;
    const steps = await telling;
    for (const [i, job] of jobs.entries()) await expectToldOnce(store, job, steps[i]!);
  },
);

testWith(
  'a commit that gets no answer is done once, whether the server had it or not',
  0,
  async (_, url, server) => {
    const path = join(server.folder, '.s.PGSQL.1');
    const proxy = await CuttingProxy.listen(path, join(server.folder, '.s.PGSQL.5432'), 'COMMIT');
    const through = new URL(url);
    through.port = '1';
    const database = await PostgresDatabase.open(through.href);
    try {
      const store = await SqlJobStore.open(database);
      const job = await claimed(store, 'a');
      proxy.cutNext('after', 'before', 'after', 'after', 'before', 'before');
      await tellSteps(store, job, 'a', (step) => step === 10);
      expect(proxy.numCutsToCome).toBe(0);
      await expectToldOnce(store, job, 10);
    } finally {
      await database.close();
      proxy.close();
    }
  },
);

testWith(
  'a connection that is lost while a transaction waits for something else is no end of the process',
  1,
  async ([database], url, server) => {
    await database!.query('CREATE TABLE things (name TEXT NOT NULL)');
    let attempts = 0;
    await database!.transaction(async (transaction) => {
      await transaction.query(`INSERT INTO things (name) VALUES ('a')`);
      if (++attempts === 1) await server.cutOff(url);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await transaction.query(`INSERT INTO things (name) VALUES ('b')`);
    });
    expect(attempts).toBe(2);
    expect(await database!.query('SELECT name FROM things')).toEqual([{ name: 'a' }, { name: 'b' }]);
  },
);

testWith('of two transactions that wait for each other both are done', 2, async (databases) => {
  await databases[0]!.query('CREATE TABLE numbers (name TEXT PRIMARY KEY, value BIGINT NOT NULL)');
  await databases[0]!.query(`INSERT INTO numbers (name, value) VALUES ('a', 0), ('b', 0)`);
  let numBegun = 0;
  const add = (database: PostgresDatabase, names: readonly string[]): Promise<void> =>
    database.transaction(async (transaction) => {
      for (const [i, name] of names.entries()) {
        await transaction.query('UPDATE numbers SET value = value + 1 WHERE name = $1', [name]);
        // Both hold their first row before either asks for its second one.
        if (i > 0) continue;
        numBegun++;
        await until(() => numBegun >= 2);
      }
    });
  await Promise.all([add(databases[0]!, ['a', 'b']), add(databases[1]!, ['b', 'a'])]);
  expect(numBegun).toBe(3);
  expect(await databases[0]!.query('SELECT name, value FROM numbers ORDER BY name')).toEqual([
    { name: 'a', value: 2 },
    { name: 'b', value: 2 },
  ]);
});

testWith('servers that begin together find one store, and share its jobs', 4, async (databases) => {
  const stores = await Promise.all(databases.map((database) => SqlJobStore.open(database)));
  const created = await Promise.all(
    Array.from({ length: 100 }, (_, i) => stores[i % 4]!.create(request(), plan, `${i % 50}`)),
  );
  expect(new Set(created.map(({ id }) => id)).size).toBe(50);
  const claims = await Promise.all(
    stores.map(async (store, i) => {
      const own: string[] = [];
      for (let job; (job = await store.claim(`server ${i}`, always)) !== undefined;) own.push(job.id);
      return own;
    }),
  );
  expect(claims.flat()).toHaveLength(50);
  expect(new Set(claims.flat())).toEqual(new Set(created.map(({ id }) => id)));
});

testWith(
  'jobs of a server that is gone are taken once, and those of one that renews are not',
  3,
  async (databases) => {
    const [gone, first, second] = await Promise.all(databases.map((database) => SqlJobStore.open(database)));
    const jobs: Job[] = [];
    for (let i = 0; i < 20; i++) jobs.push(await claimed(gone!, 'gone'));
    const kept = await claimed(first!, 'first');
    for (const [store, name] of [[gone!, 'gone'], [first!, 'first'], [second!, 'second']] as const) await store.renew(name); // prettier-ignore
    const look = async (timeoutMs: number): Promise<string[]> => {
      await Promise.all([first!.renew('first'), second!.renew('second')]);
      const lost = await Promise.all([
        first!.requeueLost('first', timeoutMs),
        second!.requeueLost('second', timeoutMs),
      ]);
      return lost.flat().map(({ id }) => id);
    };
    expect(await look(1)).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await look(1)).toSorted()).toEqual(jobs.map(({ id }) => id).toSorted());
    expect(await look(1)).toEqual([]);
    expect(await first!.get(kept.id)).toMatchObject({ status: 'running' });
    // Nothing is left of it; were it to come back, its jobs are not its own any more.
    expect(await databases[0]!.query('SELECT name FROM compact_job_servers ORDER BY name')).toEqual([
      { name: 'first' },
      { name: 'second' },
    ]);
    await gone!.renew('gone');
    expect(await gone!.finish(jobs[0]!.id, 'gone', { status: 'queued' }, message('late'))).toBeUndefined();
  },
);

testWith('a server that renews at the last moment keeps its jobs', 2, async (databases) => {
  const alive = await SqlJobStore.open(databases[0]!);
  const job = await claimed(alive, 'alive');
  const other = await SqlJobStore.open({
    isShared: true,
    query: (sql, parameters) => databases[1]!.query(sql, parameters),
    transaction: async (work) => {
      await alive.renew('alive');
      return databases[1]!.transaction(work);
    },
    close: async () => undefined,
  });
  expect(await other.requeueLost('other', 0)).toEqual([]);
  expect(await alive.get(job.id)).toMatchObject({ status: 'running' });
});

testWith('an error says what the server says, and never the password', 1, async ([database], url, server) => {
  const missing = url.replace(/test_\d+/, 'no_such_database').replace('postgres@', 'postgres:secret@');
  const errors = await Promise.all(
    [
      missing,
      'mysql://u:secret@localhost/db',
      'secret',
      url.replace(/host=.*/, 'host=/nowhere/secret-free'),
    ].map((address) => PostgresDatabase.open(address, { maxTries: 2 }).then(fail, (error: Error) => error)),
  );
  expect(errors).toMatchObject([
    {
      code: 'ERR_COMPACT_STORE',
      received: expect.stringContaining('does not exist'),
      cause: { code: '3D000' },
    },
    { code: 'ERR_COMPACT_CONFIG_VALUE' },
    { code: 'ERR_COMPACT_CONFIG_VALUE' },
    {
      code: 'ERR_COMPACT_STORE',
      remedy: expect.stringContaining('can be reached'),
      cause: { code: 'ENOENT' },
    },
  ]);
  for (const { message } of errors) expect(message).not.toMatch(/secret(?!-free)/);
  await expect(database!.query('SELECT nothing')).rejects.toMatchObject({
    code: 'ERR_COMPACT_STORE',
    received: expect.stringContaining('nothing'),
  });
  const impatient = await PostgresDatabase.open(url, { maxTries: 2 });
  await server.kill();
  await expect(impatient.query('SELECT 1')).rejects.toMatchObject({ code: 'ERR_COMPACT_STORE' });
  await server.run();
  expect(await impatient.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await impatient.close();
});

const fail = (): never => {
  throw new Error('it was opened');
};
