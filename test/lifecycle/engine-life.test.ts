/** What becomes of engines when processes, threads and references end: every case in a process of its own. */
import { expect, test } from '@jest/globals';
import { type ChildResult, runChild } from './child.js';

const reported = ({ exitCode, signal, stdout, stderr }: ChildResult): unknown => {
  expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
};

test('a worker thread is terminated in the middle of a run', async () => {
  const result = await runChild(`
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(
        \`const { Engine } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
          const { busy } = JSON.parse(process.env.TEST_PLANS);
          (async () => {
            const engine = await Engine.open({ device: 'cpu', threads: 2 });
            await engine.load(busy);
            void engine.run('busy');
            void engine.run('busy');
            require('node:worker_threads').parentPort.postMessage('running');
          })();\`,
        { eval: true },
      );
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    const engine = await open(small);
    report(await step(engine));
  `);
  expect(reported(result)).toEqual([1, 2, 3, 4, 5, 6]);
});

test('200 worker threads are terminated while short runs end', async () => {
  const result = await runChild(`
    const source = \`
      const { workerData, parentPort } = require('node:worker_threads');
      const { Engine } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
      const { small } = JSON.parse(process.env.TEST_PLANS);
      const x = new Float32Array(6);
      (async () => {
        const engine = await Engine.open({ device: 'cpu', threads: 1 });
        await engine.load(small);
        for (let i = 0; ; i++) {
          if (i === workerData.runsBefore) parentPort.postMessage('running');
          if (workerData.fails) await engine.run('row', { inputs: { x }, scalars: { row: 9 } }).catch(() => {});
          else await engine.run('step', { inputs: { x }, scalars: { learningRate: 1 } });
        }
      })();\`;
    let started = 0;
    let ended = 0;
    const terminateWorkers = async () => {
      while (started < 200) {
        const i = started++;
        const workerData = { runsBefore: i % 20, fails: i % 2 === 1 };
        const worker = new Worker(source, { eval: true, workerData });
        // One in eight ends while it loads the addon or opens its engine.
        const event = i % 8 === 7 ? 'online' : 'message';
        await new Promise((resolve, reject) => worker.once(event, resolve).once('error', reject));
        await worker.terminate();
        ended++;
      }
    };
    await Promise.all(Array.from({ length: 4 }, terminateWorkers));
    const engine = await open(small);
    report([ended, await step(engine)]);
  `);
  expect(reported(result)).toEqual([200, [1, 2, 3, 4, 5, 6]]);
}, 300_000); // only ends a test that hangs: on an idle machine it takes a few seconds

test('close waits for every kind of call that is pending', async () => {
  const result = await runChild(`
    const engine = await open(small);
    const pending = [
      engine.load(small),
      engine.write('weight', x),
      engine.read('weight'),
      step(engine),
    ];
    const closed = engine.close();
    const again = engine.close();
    report([
      closed === again,
      await codes([...pending, closed]),
      await codes([engine.load(small), engine.write('weight', x), engine.read('weight'), step(engine)]),
      await codes([(async () => engine.memory())(), engine.close()]),
    ]);
  `);
  expect(reported(result)).toEqual([
    true,
    Array.from({ length: 5 }, () => 'fulfilled'),
    Array.from({ length: 4 }, () => 'ERR_COMPACT_DISPOSED'),
    ['ERR_COMPACT_DISPOSED', 'fulfilled'],
  ]);
});

test('close right after open, and before anything is loaded', async () => {
  const result = await runChild(`
    const engine = await Engine.open({ device: 'cpu', threads: 1 });
    report(await codes([step(engine), engine.close(), engine.load(small)]));
  `);
  expect(reported(result)).toEqual(['ERR_COMPACT_ARGUMENT', 'fulfilled', 'ERR_COMPACT_DISPOSED']);
});

test('200 cycles of open, load, run and close leave resident memory flat', async () => {
  const result = await runChild(
    `
    const cycle = async () => {
      const engine = await open(large);
      await engine.run('busy');
      await engine.close();
    };
    const resident = [];
    for (let i = 0; i < 200; i++) {
      await cycle();
      if (i === 49 || i === 199) { gc(); resident.push(process.memoryUsage.rss()); }
    }
    report(resident);
  `,
    { flags: ['--expose-gc'] },
  );
  const [early, late] = reported(result) as [number, number];
  // One engine holds 16 MiB; keeping one in ten of 150 would show as 240 MiB.
  expect(late - early).toBeLessThan(16 * 2 ** 20);
});

test('an engine holds what its plan says, and gives it back', async () => {
  const result = await runChild(
    `
    const engine = await open(large);
    await engine.run('busy');
    const memory = engine.memory();
    gc();
    const resident = process.memoryUsage.rss();
    await engine.close();
    gc();
    report([memory, resident - process.memoryUsage.rss()]);
  `,
    { flags: ['--expose-gc'] },
  );
  const [memory, released] = reported(result) as [Record<string, number>, number];
  const bytes = 2 ** 23;
  expect(memory).toEqual({
    persistentBytes: bytes,
    arenaBytes: bytes,
    allocatedBytes: 2 * bytes,
    overheadBytes: 0,
  });
  // Both regions were touched whole; 4 MiB is for what else the process gives back or takes.
  expect(Math.abs(released - 2 * bytes)).toBeLessThan(2 ** 22);
});

test('engines left to the garbage collector are freed, after their pending run', async () => {
  const result = await runChild(
    `
    let finished = 0;
    const drop = async () => {
      const engine = await open(large);
      void engine.run('busy').then(() => finished++);
    };
    await drop();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 20; i++) await drop();
    for (let i = 0; i < 20; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    report([finished, process.memoryUsage.rss() - before]);
  `,
    { flags: ['--expose-gc'] },
  );
  const [finished, kept] = reported(result) as [number, number];
  expect(finished).toBe(21);
  expect(kept).toBeLessThan(2 ** 26); // of 320 MiB
});

test('the garbage collector knows what engines weigh: it runs by itself when many are dropped', async () => {
  const result = await runChild(`
    for (let i = 0; i < 100; i++) await (await open(large)).run('busy');
    report(process.resourceUsage().maxRSS * 1024);
  `);
  // All of them would be 1.6 GiB; their JavaScript objects alone would not make the collector run.
  expect(reported(result)).toBeLessThan(2 ** 30);
});

test('process.exit while the engine is busy keeps its code', async () => {
  const result = await runChild(`
    const engine = await open(busy);
    void engine.run('busy');
    void engine.run('busy');
    setTimeout(() => process.exit(7), 20);
  `);
  expect(result).toEqual({ exitCode: 7, signal: null, stdout: '', stderr: '' });
});

test('an idle engine does not keep the process alive', async () => {
  const result = await runChild(`globalThis.engine = await open(small); report('end');`);
  expect(reported(result)).toBe('end');
});

test('a pending run keeps the process alive', async () => {
  const result = await runChild(`
    const engine = await open(large);
    void engine.run('busy').then(() => report('done'));
  `);
  expect(reported(result)).toBe('done');
});

test('two environments at once', async () => {
  const result = await runChild(`
    const worker = new Worker(
      \`const { Engine } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
        const { small } = JSON.parse(process.env.TEST_PLANS);
        (async () => {
          const engine = await Engine.open({ device: 'cpu', threads: 1 });
          await engine.load(small);
          const scalars = { learningRate: -1 };
          for (let i = 0; i < 100; i++) await engine.run('step', { inputs: { x: new Float32Array(6).fill(2) }, scalars });
          require('node:worker_threads').parentPort.postMessage(Array.from(await engine.read('weight')));
          await engine.close();
        })();\`,
      { eval: true },
    );
    const theirs = new Promise((resolve) => worker.once('message', resolve));
    const engine = await open(small);
    for (let i = 0; i < 100; i++) await step(engine);
    report([Array.from(await engine.read('weight')), await theirs]);
  `);
  expect(reported(result)).toEqual([
    [-100, -200, -300, -400, -500, -600],
    [200, 200, 200, 200, 200, 200],
  ]);
});

test('the event loop turns while the engine works', async () => {
  const result = await runChild(`
    const engine = await open(busy);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await engine.run('busy');
    clearInterval(timer);
    report(turns > 10);
  `);
  expect(reported(result)).toBe(true);
});

test('more calls than may be pending are refused; close never is', async () => {
  const result = await runChild(`
    const engine = await open(busy);
    const range = { byteOffset: 0, byteLength: 4 };
    const calls = [engine.run('busy'), ...Array.from({ length: 1100 }, () => engine.read('weight', range))];
    const settled = await codes([...calls, engine.close()]);
    report(Object.fromEntries(['fulfilled', 'ERR_COMPACT_ARGUMENT'].map(
      (code) => [code, settled.filter((found) => found === code).length],
    )));
  `);
  expect(reported(result)).toEqual({ fulfilled: 1024 + 1, ERR_COMPACT_ARGUMENT: 77 });
});
