/**
 * What becomes of engines on GPUs that are missing, full, broken or lost: on the emulated machine, which can be given
 * every fault by environment variables (cuda/emulation/host_runtime.h). Every case has a process of its own.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { devices } from '../../lib/runtime/index.js';
import { runCommand } from '../cli/run-command.js';
import { type ChildResult, runChild } from './child.js';

const isBuilt = devices().some(({ kind }) => kind === 'cuda-emulated');
if (!isBuilt) console.log('skipped: the emulated device is built on Linux x64 only');
const describeEmulated = isBuilt ? describe : describe.skip;

const MiB = 2 ** 20;
const contextBytes = 64 * MiB; // kContextBytes

const machine = (faults: Readonly<Record<string, number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(faults).map(([name, value]) => [`COMPACT_EMULATED_${name}`, `${value}`]));

const reported = ({ exitCode, signal, stdout, stderr }: ChildResult): unknown => {
  expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
};

/** Runs a script on a machine with these faults; `onGpu(plan, options)` opens an engine there. */
async function runOn(faults: Readonly<Record<string, number>>, body: string): Promise<unknown> {
  const prelude = `
    const emulated = (plan) => ({ ...plan, device: 'cuda-emulated' });
    const onGpu = async (plan, options) => {
      const engine = await Engine.open({ device: 'cuda-emulated', ...options });
      await engine.load(emulated(plan));
      return engine;
    };
    const failure = async (promise) => {
      const { code, op, what, expected, received, remedy, details } =
        await promise.then(() => ({}), (error) => error);
      return { code, op, what, expected, received, remedy, details };
    };`;
  return reported(await runChild(prelude + body, { env: machine(faults) }));
}

describeEmulated('a machine that cannot be used', () => {
  test.each([
    [{ DRIVER: 0 }, 0, 'driver-absent', 'no NVIDIA driver was found'],
    [{ DRIVER: 12080 }, 0, 'driver-too-old', 'the driver is for CUDA 12.8'],
    [{ DEVICES: 0 }, 0, 'no-device', 'the driver shows no GPU'],
    [{ CAPABILITY: 75 }, 0, 'architecture-unsupported', 'compute capability 7.5; 8.0 or newer is needed'],
    [{ IDLE: 1 }, 0, 'device-fault', 'a probe kernel of 1 KB gave wrong results'],
    [{}, 9, 'no-such-device', 'this machine has one'],
    [{ DEVICES: 2 }, 2, 'no-such-device', 'this machine has 2'],
  ])('%j, device %d: %s', async (faults, index, reason, words) => {
    const error = await runOn(
      faults,
      `report(await failure(Engine.open({ device: 'cuda-emulated:${index}' })));`,
    );
    expect(error).toMatchObject({ code: 'ERR_COMPACT_DEVICE_UNAVAILABLE', details: { reason } });
    expect(error).toMatchObject({
      what: expect.stringContaining(words),
      remedy: expect.stringMatching(/\w+/),
    });
  });

  test('the second of two devices is used when it is named', async () => {
    const found = await runOn(
      { DEVICES: 2 },
      `const engine = await onGpu(small, { device: 'cuda-emulated:1' }); report([engine.device, await step(engine)]);`,
    );
    expect(found).toEqual([{ kind: 'cuda-emulated', name: 'cuda-emulated:1', index: 1 }, [1, 2, 3, 4, 5, 6]]);
  });
});

describeEmulated('memory', () => {
  test('a device that another process has filled', async () => {
    const error = await runOn(
      { MEMORY_BYTES: 1024 * MiB, OTHERS_BYTES: 1024 * MiB - 4096 },
      `report(await failure(Engine.open({ device: 'cuda-emulated' })));`,
    );
    expect(error).toMatchObject({ code: 'ERR_COMPACT_OUT_OF_MEMORY' });
  });

  test('what opening takes is reported beside what the plan takes', async () => {
    const found = await runOn(
      { MEMORY_BYTES: 1024 * MiB },
      `const engine = await onGpu(small); report([engine.memory(), engine.memoryLimitBytes]);`,
    );
    const regions = { persistentBytes: 256, arenaBytes: 768, allocatedBytes: 1024 };
    expect(found).toEqual([{ ...regions, overheadBytes: contextBytes }, 1024 * MiB - contextBytes]);
  });

  test('a plan that is larger than what is free is refused before anything is allocated', async () => {
    const found = await runOn(
      { MEMORY_BYTES: contextBytes + 4 * MiB },
      `const engine = await onGpu(small);
       report([await failure(engine.load(emulated(large))), engine.memory().allocatedBytes, await step(engine)]);`,
    );
    const [error, allocated, sum] = found as [object, number, number[]];
    expect(error).toMatchObject({ code: 'ERR_COMPACT_DOES_NOT_FIT', received: `${16 * MiB} bytes` });
    expect([allocated, sum]).toEqual([1024, [1, 2, 3, 4, 5, 6]]);
  });

  test('memory that went to another engine meanwhile is a typed error, and comes back', async () => {
    const found = await runOn(
      { MEMORY_BYTES: contextBytes + 24 * MiB },
      `const late = await Engine.open({ device: 'cuda-emulated' });
       const first = await onGpu(large);
       const error = await failure(late.load(emulated(large)));
       const free = late.memoryLimitBytes;
       await first.close();
       const again = await onGpu(large);
       report([error, free, again.memory().allocatedBytes]);`,
    );
    const [error, free, allocated] = found as [object, number, number];
    expect(error).toMatchObject({
      code: 'ERR_COMPACT_OUT_OF_MEMORY',
      op: 'the arena',
      expected: `${8 * MiB} bytes`,
      received: expect.stringMatching(/^0 bytes free of \d+$/),
    });
    expect([free, allocated]).toEqual([8 * MiB, 16 * MiB]);
  });

  test('a limit holds for everything that the engine takes', async () => {
    const found = await runOn(
      {},
      `const engine = await Engine.open({ device: 'cuda-emulated', memoryLimitBytes: ${16 * MiB - 1} });
       const error = await failure(engine.load(emulated(large)));
       report([error.code, engine.memory().allocatedBytes]);`,
    );
    expect(found).toEqual(['ERR_COMPACT_DOES_NOT_FIT', 0]);
  });

  test('200 engines opened and closed leave as much memory as there was', async () => {
    const found = await runOn(
      {},
      `const free = [];
       for (let i = 0; i < 200; i++) {
         const engine = await onGpu(small);
         free.push(engine.memoryLimitBytes);
         await step(engine);
         await engine.close();
       }
       report([free[0], Math.min(...free), Math.max(...free)]);`,
    );
    const [first, least, most] = found as number[];
    expect([least, most]).toEqual([first, first]);
  });
});

describeEmulated('work', () => {
  test('two engines on one card at the same time', async () => {
    const found = await runOn(
      {},
      `const engines = await Promise.all([onGpu(small), onGpu(small)]);
       const scalars = { learningRate: -1 };
       await Promise.all(engines.flatMap((engine, i) => Array.from({ length: 20 }, () =>
         engine.run('step', { inputs: { x: new Float32Array(6).fill(i + 1) }, scalars }))));
       report(await Promise.all(engines.map(async (engine) => Array.from(await engine.read('weight')))));`,
    );
    expect(found).toEqual([Array(6).fill(20), Array(6).fill(40)]);
  });

  test('plans of another device kind, and operations that the device lacks, are refused by name', async () => {
    const found = await runOn(
      {},
      `const engine = await Engine.open({ device: 'cuda-emulated' });
       const entry = small.entries.step;
       const [first, ...rest] = entry.instructions;
       const step = { ...entry, instructions: [{ ...first, op: 'convolve' }, ...rest] };
       report([
         await failure(engine.load(small)),
         await failure(engine.load(emulated({ ...small, entries: { ...small.entries, step } }))),
       ]);`,
    );
    expect(found).toMatchObject([
      { code: 'ERR_COMPACT_PLAN_DEVICE', received: 'cpu', expected: 'a plan for cuda-emulated' },
      { code: 'ERR_COMPACT_OP_UNSUPPORTED', op: 'convolve' },
    ]);
  });

  test('NaN is traced to the operation and the layer where it came in', async () => {
    const found = await runOn(
      {},
      `const engine = await onGpu(small);
       const x = Float32Array.of(1, 2, NaN, 4, 5, 6);
       const error = await failure(engine.run('step', { inputs: { x }, scalars: { learningRate: 1 }, checkFinite: true }));
       report([error, await step(engine)]);`,
    );
    expect(found).toMatchObject([
      {
        code: 'ERR_COMPACT_NOT_FINITE',
        op: 'add',
        received: 'NaN or infinity at element 2',
        details: { layer: 'layers.0' },
      },
      [1, 2, 3, 4, 5, 6],
    ]);
  });

  test('a worker thread is terminated in the middle of a run', async () => {
    const found = await runOn(
      {},
      `const busyPlan = emulated(large);
       const { busy: entry } = busyPlan.entries;
       const instructions = Array.from({ length: 100 }, () => entry.instructions[0]);
       process.env.TEST_BUSY = JSON.stringify({ ...busyPlan, entries: { busy: { ...entry, instructions } } });
       for (let i = 0; i < 3; i++) {
         const worker = new Worker(
           \`const { Engine } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
             (async () => {
               const engine = await Engine.open({ device: 'cuda-emulated' });
               await engine.load(JSON.parse(process.env.TEST_BUSY));
               void engine.run('busy');
               void engine.run('busy');
               require('node:worker_threads').parentPort.postMessage('running');
             })();\`,
           { eval: true },
         );
         await new Promise((resolve) => worker.once('message', resolve));
         await worker.terminate();
       }
       const engine = await onGpu(small);
       report([engine.memoryLimitBytes, await step(engine)]);`,
    );
    expect(found).toEqual([4096 * MiB - contextBytes, [1, 2, 3, 4, 5, 6]]);
  });
});

describeEmulated('a device that fails in the middle of a run', () => {
  test('is lost for its engine for good; engines elsewhere go on', async () => {
    const found = await runOn(
      // Launches before: two probes, two steps of two operations. The first of the next step fails.
      { DEVICES: 2, FAIL_LAUNCH: 7 },
      `const lost = await onGpu(small, { device: 'cuda-emulated:0' });
       const other = await onGpu(small, { device: 'cuda-emulated:1' });
       const before = [await step(lost), await step(other)];
       const later = [];
       for (const call of [() => step(lost), () => step(lost), () => lost.read('weight'), () => lost.write('weight', x),
         () => lost.load(emulated(small))]) later.push(await failure(call()));
       const again = await failure(Engine.open({ device: 'cuda-emulated:0' }));
       const after = [await step(other), await step(await open(small))];
       await lost.close();
       report({ before, later, again, after });`,
    );
    const { before, later, again, after } = found as Record<string, object[]>;
    expect(before).toEqual([
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4, 5, 6],
    ]);
    expect(later!.map((error) => (error as { code: string }).code)).toEqual(
      Array(5).fill('ERR_COMPACT_DEVICE_LOST'),
    );
    expect(later![0]).toMatchObject({
      received: expect.stringContaining('cudaErrorLaunchFailure'),
      remedy: expect.stringContaining('resume from the last checkpoint'),
    });
    expect(again).toMatchObject({
      code: 'ERR_COMPACT_DEVICE_UNAVAILABLE',
      details: { reason: 'device-fault' },
    });
    expect(after).toEqual([
      [0, 0, 0, 0, 0, 0],
      [1, 2, 3, 4, 5, 6],
    ]);
  });
});

describeEmulated('queued runs', () => {
  // Work is done no sooner than it is waited for, so runs are in flight behind one another.
  const onLazyGpu = (body: string) => runOn({ LAZY: 1 }, body);
  const steps = `
    const batch = (n) => Float32Array.from({ length: 6 }, (_, i) => i + n);
    const run = (engine, n, options) =>
      engine.run('step', { inputs: { x: batch(n) }, scalars: { learningRate: 1 / (n + 1) }, ...options });`;

  test('give what runs one by one give, in order, as graphs or not', async () => {
    const [alone, ...queued] = (await onLazyGpu(`${steps}
      const results = [];
      for (const [graphs, isQueued] of [['off', false], ['off', true], ['on', true], ['auto', true]]) {
        const engine = await onGpu(small, { graphs });
        const settled = [], sums = [];
        const read = async (n, { outputs }) => {
          settled.push(n);
          sums.push(Array.from(outputs.sum));
        };
        if (isQueued) {
          const runs = Array.from({ length: 20 }, (_, n) => run(engine, n).then((result) => read(n, result)));
          // Calls of other kinds wait for what is in flight.
          const weight = engine.read('weight');
          await Promise.all(runs);
          sums.push(Array.from(await weight));
        } else {
          for (let n = 0; n < 20; n++) await read(n, await run(engine, n));
          sums.push(Array.from(await engine.read('weight')));
        }
        const { state, problem } = engine.graphs().find(({ entry }) => entry === 'step');
        results.push({ settled, sums, state, problem });
        await engine.close();
      }
      report(results);`)) as { sums: number[][]; settled: number[]; state: string; problem?: string }[];
    expect(alone!.settled).toEqual(Array.from({ length: 20 }, (_, n) => n));
    for (const { sums, settled } of queued)
      expect({ sums, settled }).toEqual({ sums: alone!.sums, settled: alone!.settled });
    expect([alone!, ...queued].map(({ state }) => state)).toEqual([
      'off',
      'off',
      'on',
      expect.stringMatching(/^o(n|ff)$/),
    ]);
    for (const { problem } of queued) expect(problem).toBeUndefined();
  });

  test('are aborted one by one, and end with the engine', async () => {
    const [outcomes, late] = (await onLazyGpu(`
      const engine = await onGpu(large, { graphs: 'on' });
      await engine.run('busy');
      const controller = new AbortController();
      // Each fills megabytes, so that the last has not begun when it is aborted, however long this thread waits for a core.
      const numRuns = 100;
      const runs = Array.from({ length: numRuns }, (_, n) =>
        engine.run('busy', n + 1 === numRuns ? { signal: controller.signal } : {}));
      controller.abort();
      const closed = engine.close();
      const outcomes = await Promise.allSettled(runs);
      await closed;
      report([
        outcomes.map(({ status, reason }) => reason?.code ?? status),
        (await failure(engine.run('busy'))).code,
      ]);`)) as [string[], string];
    expect(outcomes.at(-1)).toBe('ERR_COMPACT_ABORTED');
    expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['fulfilled']));
    expect(late).toBe('ERR_COMPACT_DISPOSED');
  });
});

describeEmulated('the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'compact-train-faults-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const recipe = join(folder, 'recipe.json');
  const sizes = { vocabSize: 264, hiddenSize: 32, intermediateSize: 64, numHiddenLayers: 2 };
  const text = Array.from({ length: 400 }, (_, i) => `line ${i * 37} of the text`).join('\n');
  writeFileSync(join(folder, 'text.txt'), text);
  writeFileSync(
    recipe,
    JSON.stringify({
      model: { ...sizes, numAttentionHeads: 2, numKeyValueHeads: 2 },
      method: { name: 'dense' },
      data: { train: join(folder, 'text.txt') },
      batchSize: 32,
      sequenceLength: 64,
      maxSteps: 2,
      learningRate: 0.01,
      device: 'cuda-emulated',
    }),
  );
  const train = (faults: Readonly<Record<string, number>>) =>
    runCommand(['train', recipe, '--json'], { env: machine(faults) });

  test('a run that does not fit the device is refused with three remedies: exit code 3', async () => {
    const { code, stdout } = await train({ MEMORY_BYTES: contextBytes + 4 * MiB });
    const error = JSON.parse(stdout) as { code: string; details: Record<string, unknown> };
    expect({ code, error: error.code }).toEqual({ code: 3, error: 'ERR_COMPACT_DOES_NOT_FIT' });
    const { limitBytes, remedies } = error.details as {
      limitBytes: number;
      remedies: { peakBytes: number; fits: boolean }[];
    };
    expect(limitBytes).toBe(4 * MiB);
    expect(remedies).toHaveLength(3);
    for (const { peakBytes, fits } of remedies) expect(fits).toBe(peakBytes <= limitBytes);
    expect(remedies.some(({ fits }) => fits)).toBe(true);
  });

  test('a device that is lost ends the run: exit code 1', async () => {
    const { code, stdout } = await train({ FAIL_LAUNCH: 100 });
    const last = JSON.parse(stdout.trim().split('\n').at(-1)!) as { code: string };
    expect({ code, error: last.code }).toEqual({ code: 1, error: 'ERR_COMPACT_DEVICE_LOST' });
  });
});
