import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const distribution = join(__dirname, '..', '..', 'dist');

/** The built package: `openStore()` opens the store of the place, `say` prints a line as soon as it is called. */
const prelude = `
  const { writeSync } = require('node:fs');
  const load = (file) => require(process.env.TEST_DISTRIBUTION + '/jobs/' + file + '.js');
  const { SqliteDatabase } = load('sqlite-database');
  const { PostgresDatabase } = load('postgres-database');
  const { SqlJobStore } = load('sql-job-store');
  const { place, driver, request, plan } = JSON.parse(process.env.TEST_STORE);
  const say = (value) => writeSync(1, JSON.stringify(value) + '\\n');
  const openDatabase = () =>
    driver === 'postgres' ? PostgresDatabase.open(place) : SqliteDatabase.open(place, { driver });
  const always = () => 'now';
  const event = (type, data) => ({ level: 'info', type, message: type, data });
  const stepDone = (step) => ({ step, trainedTokens: step, events: [event('metrics', { step }), event('message', {})] });
`;

/** Does jobs one after another, for ever, and tells of what has been acknowledged. */
export const doJobs = `
  const store = await SqlJobStore.open(await openDatabase());
  await store.requeueLost('child ' + process.pid, 0);
  for (;;) {
    const created = await store.create(request, plan);
    say({ id: created.id, status: 'queued', step: 0, numEvents: 1 });
    const { id, step: from, attempts } = await store.claim('child ' + process.pid, always);
    say({ id, status: 'running', step: from, numEvents: 0 });
    // What was lost with a process before is done again from the beginning.
    for (let step = 1; step <= 8; step++) {
      await store.progress(id, 'child ' + process.pid, stepDone(step));
      say({ id, status: 'running', step, numEvents: 3 * attempts - 1 + 2 * step });
    }
    await store.finish(id, 'child ' + process.pid, { status: 'succeeded', result: { step: 8 } }, event('message', {}));
    say({ id, status: 'succeeded', step: 8, numEvents: 3 * attempts + 16 });
  }
`;

export interface StoreChild {
  readonly process: ChildProcess;
  readonly lines: Readonly<Record<string, unknown>>[];
  /** Settles when there are so many lines, or when the process has ended. */
  has(numLines: number): Promise<void>;
  /** What went to stderr. */
  readonly ended: Promise<string>;
}

/**
 * Runs the inside of an async function in a process of its own; what it throws becomes a line `{ error: { code, ... } }`.
 * @param wrap a command that ends by starting Node; `$0` and its arguments follow
 */
export function startStoreChild(
  body: string,
  store: Readonly<Record<string, unknown>>,
  wrap: readonly string[] = [],
): StoreChild {
  const [program, ...args] = [...wrap, process.execPath, '--no-warnings', '--input-type=commonjs', '-'];
  const child = spawn(program, args, {
    env: { ...process.env, TEST_DISTRIBUTION: distribution, TEST_STORE: JSON.stringify(store) },
  });
  child.stdin.on('error', () => {}).end(`${prelude};(async () => {${body}})().catch((error) => {
    say({ error: { code: error.code, message: error.message, hasCause: error.cause !== undefined } });
  });`);
  const lines: Record<string, unknown>[] = [];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>));
  const closed = once(child, 'close');
  return {
    process: child,
    lines,
    ended: closed.then(() => stderr),
    has: (numLines) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (lines.length >= numLines) resolve();
        };
        reader.on('line', check);
        void closed.then(() => resolve());
        check();
      }),
  };
}
