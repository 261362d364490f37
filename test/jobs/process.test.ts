/** Tasks in processes of their own: what goes in, what comes out, and what becomes of those that die. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { isCompactError } from '../../lib/errors.js';
import type { JobDevice } from '../../lib/jobs/index.js';
import type * as source from '../../lib/jobs/process/run-process.js';
import { cudaReport } from '../../lib/runtime/index.js';
import { built, distribution } from '../helpers/built.js';

const { runProcess } = built('jobs/process/run-process') as typeof source;
const folder = mkdtempSync(join(tmpdir(), 'compact-process-'));
afterAll(() => rmSync(folder, { recursive: true }));

let numModules = 0;
/** A module that serves a task: the body of a function of `input`, `tell` and `stop`. */
function task(body: string): string {
  const path = join(folder, `task-${numModules++}.cjs`);
  writeFileSync(
    path,
    `const { serveTask } = require(${JSON.stringify(join(distribution, 'jobs/process/serve-task.js'))});
    const { compactError } = require(${JSON.stringify(join(distribution, 'errors.js'))});
    const forever = () => new Promise(() => setInterval(() => {}, 1000));
    serveTask(async (input, { tell, stop }) => {${body}});`,
  );
  return path;
}

const failureOf = (work: Promise<unknown>): Promise<Record<string, unknown>> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: Record<string, unknown>) => error,
  );

/** Whether a process is there, once it has had time to go. */
async function isGone(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 600; attempt++) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

describe('a task', () => {
  test('has its input, tells in order, and gives its outcome, numbers that JSON lacks included', async () => {
    const told: unknown[] = [];
    const module = task(`
      for (let i = 0; i < 1000; i++) tell({ i });
      return { input, pid: process.pid, nan: NaN };`);
    const outcome = await runProcess(module, { a: [1, Infinity] }, { onMessage: (it) => told.push(it) });
    expect(outcome).toEqual({ input: { a: [1, Infinity] }, pid: expect.any(Number), nan: NaN });
    expect((outcome as { pid: number }).pid).not.toBe(process.pid);
    expect(told).toEqual(Array.from({ length: 1000 }, (_, i) => ({ i })));
  });

  test('fails with its typed error', async () => {
    const error = await failureOf(
      runProcess(
        task(`throw compactError('ERR_COMPACT_DOES_NOT_FIT', 'too large',
          { op: 'model', expected: '1', received: '2', remedy: 'Less', details: { remedies: [{ bytes: 3 }] } });`),
        {},
      ),
    );
    expect(isCompactError(error, 'ERR_COMPACT_DOES_NOT_FIT')).toBe(true);
    expect(error).toMatchObject({
      name: 'CompactError',
      message: 'too large; expected 1; received 2. Less',
      what: 'too large',
      op: 'model',
      details: { remedies: [{ bytes: 3 }] },
    });
    expect(error['stack']).toContain('task-');
  });

  test('fails with any other error', async () => {
    const error = await failureOf(runProcess(task(`throw new TypeError('not so');`), {}));
    expect([error['message'], error['code']]).toEqual(['not so', undefined]);
    const text = await failureOf(runProcess(task(`throw 'a text';`), {}));
    expect(text['message']).toBe('a text');
    const module = task(`return { cannot: () => 'be sent' };`);
    expect((await failureOf(runProcess(module, {})))['message']).toContain('could not be cloned');
  });

  test.each<[string, string, object]>([
    ['exits', `console.error('last words'); process.exit(7);`, { exitCode: 7, signal: null }],
    [
      'is killed',
      `console.error('last words'); process.kill(process.pid, 'SIGKILL');`,
      { signal: 'SIGKILL' },
    ],
    [
      'throws where nobody catches',
      `setTimeout(() => { throw new Error('last words'); }); await forever();`,
      { exitCode: 1 },
    ],
  ])('that %s is lost, with its last words', async (_, body, details) => {
    const error = await failureOf(runProcess(task(body), {}));
    expect(error).toMatchObject({ code: 'ERR_COMPACT_JOB_LOST', details });
    expect(error['received']).toContain('last words');
  });

  test('whose module is none is lost', async () => {
    const error = await failureOf(runProcess(join(folder, 'none.cjs'), {}));
    expect(error).toMatchObject({ code: 'ERR_COMPACT_JOB_LOST', details: { exitCode: 1 } });
  });

  test('ends as it likes when it is asked to', async () => {
    const module = task(`
      tell('ready');
      await new Promise((resolve) => {
        const timer = setInterval(() => {}, 1000);
        stop.addEventListener('abort', () => { clearInterval(timer); resolve(); });
      });
      return 'stopped';`);
    const stopping = new AbortController();
    const onMessage = (): void => stopping.abort();
    expect(await runProcess(module, {}, { stop: stopping.signal, onMessage })).toBe('stopped');
    // One that was asked for before it began is heard, too.
    expect(await runProcess(module, {}, { stop: stopping.signal })).toBe('stopped');
  });

  test('is killed by a signal, and takes others for its parent to act on', async () => {
    const killing = new AbortController();
    const module = task(`
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(process.pid, name);
      setTimeout(() => tell('alive'), 50);
      await forever();`);
    const onMessage = (): void => killing.abort(new Error('enough'));
    const error = await failureOf(runProcess(module, {}, { signal: killing.signal, onMessage }));
    expect(error['message']).toBe('enough');
    const late = await failureOf(runProcess(module, {}, { signal: killing.signal }));
    expect(late['message']).toBe('enough');
  });

  test('goes with its parent', async () => {
    const module = task(`tell(process.pid); await forever();`);
    const parent = spawn(
      process.execPath,
      [
        '-e',
        `require(${JSON.stringify(join(distribution, 'jobs/process/run-process.js'))})
          .runProcess(${JSON.stringify(module)}, {}, { onMessage: (pid) => console.log(pid) });`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string];
    parent.kill('SIGKILL');
    await once(parent, 'close');
    expect(await isGone(Number(line))).toBe(true);
  });
});

test('GPUs are asked in a process of its own, with what of their memory is free', async () => {
  const found = await runProcess<readonly JobDevice[]>(join(distribution, 'jobs/measure-gpus-worker.js'), {});
  const usable = cudaReport().devices.filter(({ problem }) => problem === null);
  expect(found.map(({ name }) => name)).toEqual(usable.map(({ index }) => `cuda:${index}`));
  for (const [i, { memoryBytes }] of found.entries())
    expect(memoryBytes).toBeLessThanOrEqual(usable[i]!.totalBytes);
});
