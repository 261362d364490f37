/** What becomes of the lock of an output folder when its holder ends: in workers, processes and their children. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ChildResult, runChild } from './child.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const reported = ({ exitCode, signal, stdout, stderr }: ChildResult): unknown => {
  expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
};

/** `tryLock` says 'locked', or the code of the refusal; what is started tries to lock, says the same, and stays. */
async function withLock(body: string, env: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const prelude = `
    const { RunLock } = require(process.env.TEST_DISTRIBUTION + '/train/checkpoints/run-lock.js');
    const { spawn } = require('node:child_process');
    const { once } = require('node:events');
    const folder = process.env.TEST_FOLDER;
    const tryLock = () => RunLock.acquire(folder).then(
      async (lock) => { await lock.release(); return 'locked'; },
      ({ code }) => code,
    );
    const source = \`
      const { RunLock } = require(process.env.TEST_DISTRIBUTION + '/train/checkpoints/run-lock.js');
      const { parentPort } = require('node:worker_threads');
      const say = (text) => parentPort === null ? console.log(text) : parentPort.postMessage(text);
      globalThis.timer = setInterval(() => {}, 1000);
      RunLock.acquire(process.env.TEST_FOLDER).then(
        (lock) => { globalThis.lock = lock; say('locked'); },
        ({ code }) => say(code),
      );\`;
    const startWorker = async () => {
      const worker = new Worker(source, { eval: true });
      const [said] = await once(worker, 'message');
      return { worker, said };
    };
    const startProcess = async (before = '') => {
      const child = spawn(process.execPath, ['-e', before + source], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [said] = await once(child.stdout, 'data');
      return { child, said: String(said).trim() };
    };
    const kill = async (child) => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    };`;
  return reported(await runChild(prelude + body, { env: { TEST_FOLDER: folder, ...env } }));
}

const refused = 'ERR_COMPACT_OUTPUT_LOCKED';

test('a worker that is terminated gives its lock back, though its process lives', async () => {
  const found = await withLock(`
    const found = [];
    for (let i = 0; i < 3; i++) {
      const { worker, said } = await startWorker();
      const meanwhile = await tryLock();
      const other = await startWorker();
      await Promise.all([worker.terminate(), other.worker.terminate()]);
      found.push([said, meanwhile, other.said, await tryLock()].join());
    }
    report([...new Set(found)]);`);
  expect(found).toEqual([`locked,${refused},${refused},locked`]);
});

test('a process that is killed gives its lock back', async () => {
  const found = await withLock(`
    const first = await startProcess();
    const second = await startProcess();
    const meanwhile = await tryLock();
    await kill(second.child);
    const still = await tryLock();
    await kill(first.child);
    report([first.said, second.said, meanwhile, still, await tryLock()]);`);
  expect(found).toEqual(['locked', refused, refused, refused, 'locked']);
});

test('a child of the process that was killed has not inherited the lock', async () => {
  const found = await withLock(`
    // It starts a child when it has the lock, and says so.
    const startsChild = \`
      const { log } = console;
      console.log = (text) => {
        const script = 'setInterval(() => {}, 1000)';
        const options = { stdio: 'ignore', detached: true };
        const { pid } = require('node:child_process').spawn(process.execPath, ['-e', script], options);
        log(JSON.stringify({ text, pid }));
      };\`;
    const { child, said } = await startProcess(startsChild);
    const { text, pid } = JSON.parse(said);
    const meanwhile = await tryLock();
    await kill(child);
    const after = await tryLock();
    process.kill(pid, 'SIGKILL'); // throws if it lives no more
    report([text, meanwhile, after]);`);
  expect(found).toEqual(['locked', refused, 'locked']);
});

test('a lock that nobody refers to any more is free', async () => {
  const result = await runChild(
    `
    const { lockFile } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
    const path = process.env.TEST_FOLDER + '/run.lock';
    const take = () => lockFile(path, '').state;
    const states = [take()];
    while (states.at(-1) !== 'locked' || states.length < 2) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
      states.push(take());
    }
    report(states.at(-1));`,
    { flags: ['--expose-gc'], env: { TEST_FOLDER: folder } },
  );
  expect(reported(result)).toBe('locked');
});

test('a file system without locks: a file that is kept alive excludes, and is free once nobody keeps it', async () => {
  if (process.platform !== 'linux') {
    console.log('skipped: a file system without locks is imitated on Linux only');
    return;
  }
  const shim = join(folder, 'no-locks.so');
  const source = join(folder, 'no-locks.c');
  writeFileSync(
    source,
    '#include <errno.h>\nint flock(int file, int how) { (void)file; (void)how; errno = ENOLCK; return -1; }\n',
  );
  execFileSync(process.env.CC ?? 'cc', ['-shared', '-fPIC', '-o', shim, source]);
  const found = await withLock(
    `
    const options = { heartbeatMs: 20 };
    const state = (promise) => promise.then(() => 'locked', ({ code }) => code);
    const lock = await RunLock.acquire(folder, options);
    const content = require('node:fs').readFileSync(folder + '/run.lock', 'utf8');
    const second = await state(RunLock.acquire(folder, options));
    lock.check();
    await lock.release();
    const isGone = !require('node:fs').existsSync(folder + '/run.lock');
    require('node:fs').writeFileSync(folder + '/run.lock', content);
    const third = await RunLock.acquire(folder, options);
    require('node:fs').writeFileSync(folder + '/run.lock', 'taken by another');
    const lost = await (async () => {
      for (;; await new Promise((resolve) => setTimeout(resolve, 1))) third.check();
    })().catch(({ code }) => code);
    report([Object.keys(JSON.parse(content)), second, isGone, lost]);`,
    { LD_PRELOAD: shim },
  );
  expect(found).toEqual([['pid', 'host', 'started', 'token', 'beat'], refused, true, refused]);
});
