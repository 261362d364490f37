import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CompactError } from '../../lib/errors.js';
import { cpuTarget, devices, Engine, environment, type RunOptions } from '../../lib/runtime/index.js';
import { largePlan, smallPlan } from './plans.js';

const x = Float32Array.of(1, 2, 3, 4, 5, 6);
const step: RunOptions = { inputs: { x }, scalars: { learningRate: 1 } };

async function errorOf(work: () => unknown): Promise<CompactError> {
  try {
    await work();
  } catch (error) {
    return error as CompactError;
  }
  throw new Error('nothing was thrown');
}

describe('an engine with a plan', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.open({ device: 'cpu', threads: 2 });
    await engine.load(smallPlan());
  });
  afterEach(() => engine.close());

  test('writes, runs and reads', async () => {
    expect(Array.from(await engine.read('weight'))).toEqual([0, 0, 0, 0, 0, 0]);
    await engine.write('weight', new Float32Array(6).fill(10));
    await engine.write('weight', Float32Array.of(-1), 20);
    const { outputs, durationMs, profileUs } = await engine.run('step', { ...step, profile: true });
    expect(Array.from(outputs.sum!)).toEqual([11, 12, 13, 14, 15, 5]);
    expect(durationMs).toBeGreaterThanOrEqual(0);
    expect(profileUs).toHaveLength(2);
    expect(Array.from(await engine.read('weight', { byteOffset: 16, byteLength: 8 }))).toEqual([5, -7]);
    expect((await engine.run('step', step)).profileUs).toBeUndefined();
  });

  test('data is copied before the call returns', async () => {
    const data = new Float32Array(6).fill(1);
    const input = new Float32Array(6).fill(1);
    const writing = engine.write('weight', data);
    const running = engine.run('step', { inputs: { x: input }, scalars: { learningRate: 0 } });
    data.fill(9);
    input.fill(9);
    await writing;
    expect(Array.from((await running).outputs.sum!)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test.each<[string, string, RunOptions, string, string]>([
    ['entry', 'stepp', step, 'ERR_COMPACT_ENTRY_UNKNOWN', "Did you mean 'step'?"],
    ['input', 'step', { ...step, inputs: { y: x } }, 'ERR_COMPACT_VALUE_UNKNOWN', "Did you mean 'x'?"],
    ['no input', 'step', { scalars: { learningRate: 1 } }, 'ERR_COMPACT_ARGUMENT', 'needs the input x'],
    ['size', 'step', { ...step, inputs: { x: x.slice(1) } }, 'ERR_COMPACT_SHAPE', '5 elements'],
    ['type', 'step', { ...step, inputs: { x: new Uint16Array(6) } }, 'ERR_COMPACT_TYPE', 'Uint16Array'],
    ['no scalar', 'step', { inputs: { x } }, 'ERR_COMPACT_ARGUMENT', 'needs the scalar learningRate'],
    ['NaN', 'step', { ...step, scalars: { learningRate: NaN } }, 'ERR_COMPACT_ARGUMENT', 'NaN'],
    [
      'scalar',
      'step',
      { ...step, scalars: { learningrate: 1 } },
      'ERR_COMPACT_ARGUMENT',
      "Did you mean 'learningRate'?",
    ],
  ])('run refuses a wrong %s', async (_, entry, options, code, words) => {
    const error = await errorOf(() => engine.run(entry, options));
    expect([error.name, error.code]).toEqual(['CompactError', code]);
    expect(error.message).toContain(words);
  });

  test('write and read refuse wrong names, types and ranges', async () => {
    const cases: [() => unknown, string][] = [
      [() => engine.write('weigth', x), 'ERR_COMPACT_VALUE_UNKNOWN'],
      [() => engine.write('x', x), 'ERR_COMPACT_VALUE_UNKNOWN'], // not persistent
      [() => engine.write('weight', new Int32Array(6)), 'ERR_COMPACT_TYPE'],
      [() => engine.write('weight', [1, 2] as unknown as Float32Array), 'ERR_COMPACT_TYPE'],
      [() => engine.write('weight', new Float32Array(7)), 'ERR_COMPACT_SHAPE'],
      [() => engine.write('weight', x, 4), 'ERR_COMPACT_SHAPE'],
      [() => engine.write('weight', Float32Array.of(1), 2), 'ERR_COMPACT_SHAPE'],
      [() => engine.write('weight', Float32Array.of(1), -4), 'ERR_COMPACT_SHAPE'],
      [() => engine.read('weight', { byteOffset: 0, byteLength: 28 }), 'ERR_COMPACT_SHAPE'],
      [() => engine.read('weight', { byteOffset: NaN, byteLength: 4 }), 'ERR_COMPACT_SHAPE'],
    ];
    for (const [work, code] of cases) expect((await errorOf(work)).code).toBe(code);
    expect((await errorOf(() => engine.read('weigth'))).message).toContain("Did you mean 'weight'?");
  });

  test('rows are taken of shared memory alone, and only where they fit', async () => {
    const rowsOf = (...numbers: number[]): Uint8Array => {
      const shared = new Float32Array(new SharedArrayBuffer(4 * numbers.length));
      shared.set(numbers);
      return new Uint8Array(shared.buffer);
    };
    const layout = { dtype: 'f32', stride: 2, isTransposed: true } as const;
    await engine.write('weight', new Float32Array(6));
    await engine.writeRows('weight', rowsOf(1, 4, 2, 5), layout);
    await engine.writeRows('weight', rowsOf(0, 3, 6, 0), {
      ...layout,
      stride: 4,
      firstColumn: 1,
      columns: 2,
      firstRow: 2,
    });
    expect(Array.from(await engine.read('weight'))).toEqual([1, 2, 3, 4, 5, 6]);
    const rows = rowsOf(1, 2);
    const cases: [() => unknown, string][] = [
      [() => engine.writeRows('weigth', rows, layout), 'ERR_COMPACT_VALUE_UNKNOWN'],
      [() => engine.writeRows('x', rows, layout), 'ERR_COMPACT_VALUE_UNKNOWN'],
      [() => engine.writeRows('weight', new Uint8Array(8), layout), 'ERR_COMPACT_TYPE'],
      [() => engine.writeRows('weight', rows.buffer as unknown as Uint8Array, layout), 'ERR_COMPACT_TYPE'],
      [() => engine.writeRows('weight', rows, { ...layout, dtype: 'i32' }), 'ERR_COMPACT_TYPE'],
      [() => engine.writeRows('weight', rows, { ...layout, stride: 0 }), 'ERR_COMPACT_ARGUMENT'],
      [() => engine.writeRows('weight', rows, { ...layout, stride: 3 }), 'ERR_COMPACT_ARGUMENT'],
      [() => engine.writeRows('weight', rows, { ...layout, firstRow: 3 }), 'ERR_COMPACT_ARGUMENT'],
      [() => engine.writeRows('weight', rows, { ...layout, firstColumn: 2 }), 'ERR_COMPACT_ARGUMENT'],
      [() => engine.writeRows('weight', rows, { ...layout, columns: 3 }), 'ERR_COMPACT_ARGUMENT'],
      [
        () => engine.writeRows('weight', rows, { ...layout, stride: Number.MAX_SAFE_INTEGER }),
        'ERR_COMPACT_ARGUMENT',
      ],
      [
        () => engine.writeRows('weight', rows.subarray(1, 5), { dtype: 'f32', stride: 1 }),
        'ERR_COMPACT_ARGUMENT',
      ],
      [() => engine.writeRows('weight', rowsOf(NaN), { dtype: 'f32', stride: 1 }), 'ERR_COMPACT_NOT_FINITE'],
    ];
    for (const [work, code] of cases) expect((await errorOf(work)).code).toBe(code);
    // What says that it is shared is asked for its memory all the same.
    const pretended = new Uint8Array(8);
    Object.defineProperty(pretended, 'buffer', { value: rows.buffer });
    expect((await errorOf(() => engine.writeRows('weight', pretended, layout))).code).toBe(
      'ERR_COMPACT_TYPE',
    );
  });

  test('arrays are taken by what they hold, wherever their bytes are', async () => {
    const values = [1, 2, 3, 4, 5, 6];
    const shared = new Float32Array(new SharedArrayBuffer(24));
    shared.set(values);
    const otherRealm = runInNewContext('Float32Array.of(1, 2, 3, 4, 5, 6)') as Float32Array;
    const resizable = Reflect.construct(ArrayBuffer, [24, { maxByteLength: 64 }]) as ArrayBuffer;
    const growing = new Float32Array(resizable);
    growing.set(values);
    const renamed = Object.assign(Float32Array.from(values), { slice: () => new Float32Array(6) });
    for (const array of [shared, otherRealm, growing, renamed]) {
      await engine.write('weight', new Float32Array(6));
      await engine.write('weight', array);
      expect(Array.from(await engine.read('weight'))).toEqual(values);
      expect((await engine.run('step', { ...step, inputs: { x: array } })).outputs.sum).toHaveLength(6);
    }
  });

  test('arrays whose bytes are gone are refused, and nothing is written', async () => {
    await engine.write('weight', x);
    const detached = new Float32Array(6);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const resizable = Reflect.construct(ArrayBuffer, [24, { maxByteLength: 64 }]) as ArrayBuffer & {
      resize(bytes: number): void;
    };
    const shrunk = new Float32Array(resizable, 0, 6);
    resizable.resize(8);
    for (const array of [detached, shrunk]) {
      expect((await errorOf(() => engine.write('weight', array))).code).toBe('ERR_COMPACT_TYPE');
      const running = () => engine.run('step', { ...step, inputs: { x: array } });
      expect((await errorOf(running)).code).toBe('ERR_COMPACT_TYPE');
    }
    expect(Array.from(await engine.read('weight'))).toEqual(Array.from(x));
  });

  test('an op that fails rejects with the place and the caller, and the engine goes on', async () => {
    const options: RunOptions = { inputs: { x }, scalars: { row: 2 } };
    const error = await errorOf(() => engine.run('row', options));
    expect(error.code).toBe('ERR_COMPACT_INDEX');
    expect(error.op).toBe('selectRow');
    expect(error.details).toEqual({ entry: 'row', layer: 'layers.0' });
    expect(error.stack).toContain(`${error.name}: ${error.message}\n    at `);
    expect(error.stack).toContain('engine-calls.test.ts');
    const { outputs } = await engine.run('row', { ...options, scalars: { row: 1 } });
    expect(Array.from(outputs.selected!)).toEqual([4, 5, 6]);
  });

  test('checkFinite names the value that is not finite', async () => {
    await engine.write('weight', Float32Array.of(0, 0, Infinity, 0, 0, 0));
    const error = await errorOf(() => engine.run('step', { ...step, checkFinite: true }));
    expect(error.code).toBe('ERR_COMPACT_NOT_FINITE');
    expect(error.op).toBe('add');
    expect(error.details).toEqual({ entry: 'step', layer: 'layers.0', value: 'weight' });
    expect(error.message).toContain('element 2');
    expect((await engine.run('step', step)).outputs.sum![2]).toBe(Infinity);
  });

  test('an aborted signal stops a run that has not begun, and only that one', async () => {
    const done = AbortSignal.abort('not today');
    const error = await errorOf(() => engine.run('step', { ...step, signal: done }));
    expect([error.code, error.cause]).toEqual(['ERR_COMPACT_ABORTED', 'not today']);

    await engine.load(largePlan(2 ** 22, 200));
    const controller = new AbortController();
    const running = engine.run('busy');
    const waiting = engine.run('busy', { signal: controller.signal });
    controller.abort();
    expect((await errorOf(() => waiting)).code).toBe('ERR_COMPACT_ABORTED');
    expect((await running).durationMs).toBeGreaterThan(0);
  });

  test('a refused plan leaves the one of before', async () => {
    await engine.write('weight', x);
    const plan = smallPlan();
    const cases: [Partial<ReturnType<typeof smallPlan>>, string][] = [
      [{ device: 'cuda' }, 'ERR_COMPACT_PLAN_DEVICE'],
      [{ persistentBytes: 8 }, 'ERR_COMPACT_PLAN_INVALID'],
      [{ peakBytes: 2 ** 52 }, 'ERR_COMPACT_DOES_NOT_FIT'],
      [{ arenaBytes: 2 ** 52 }, 'ERR_COMPACT_DOES_NOT_FIT'],
    ];
    for (const [change, code] of cases)
      expect((await errorOf(() => engine.load({ ...plan, ...change }))).code).toBe(code);
    expect(Array.from(await engine.read('weight'))).toEqual(Array.from(x));
  });
});

test('devices: auto says why, names are taken at their word', async () => {
  await using engine = await Engine.open({ threads: 1 });
  expect(engine.device.reason).toBeDefined();
  expect(devices().map(({ kind }) => kind)).toEqual(expect.arrayContaining(['cpu', 'cuda']));
  const cases: [Parameters<typeof Engine.open>[0], string, string][] = [
    [{ device: 'cup' }, 'ERR_COMPACT_ARGUMENT', "Did you mean 'cpu'?"],
    [{ device: 'gpu' }, 'ERR_COMPACT_ARGUMENT', "'cuda' is the first NVIDIA GPU"],
    [{ device: 'mps' }, 'ERR_COMPACT_ARGUMENT', 'received "mps"'],
    [{ device: 'cpu:1' }, 'ERR_COMPACT_ARGUMENT', 'cpu:1'],
    [{ device: 'cuda:99' }, 'ERR_COMPACT_DEVICE_UNAVAILABLE', 'cuda:99'],
    [{ device: 'cuda:-1' }, 'ERR_COMPACT_ARGUMENT', 'cuda:-1'],
    [{ device: 'cuda\n' }, 'ERR_COMPACT_ARGUMENT', 'cuda'],
    [{ instructionSet: 'neon' }, 'ERR_COMPACT_DEVICE_UNAVAILABLE', 'scalar'],
    [{ threads: 0 }, 'ERR_COMPACT_ARGUMENT', 'threads'],
    [{ threads: 1.5 }, 'ERR_COMPACT_ARGUMENT', 'threads'],
    [{ blas: 'mkl' as 'own' }, 'ERR_COMPACT_ARGUMENT', 'one of own, vendor, auto'],
    [{ graphs: 'yes' as 'on' }, 'ERR_COMPACT_ARGUMENT', 'one of auto, on, off'],
    [{ memoryLimitBytes: -1 }, 'ERR_COMPACT_ARGUMENT', 'memoryLimitBytes'],
    [{ memoryLimitBytes: '24' }, 'ERR_COMPACT_ARGUMENT', "'24GiB'"],
    [{ thread: 1 } as object, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', "Did you mean 'threads'?"],
  ];
  for (const [options, code, words] of cases) {
    const error = await errorOf(() => Engine.open(options));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  }
});

test('the instruction set that auto means can be named by a variable', async () => {
  const before = process.env['COMPACT_INSTRUCTION_SET'];
  try {
    for (const set of environment().cpu.instructionSets) {
      process.env['COMPACT_INSTRUCTION_SET'] = set;
      await using engine = await Engine.open({ device: 'cpu', threads: 1 });
      expect([engine.instructionSet, environment().cpu.chosen]).toEqual([set, set]);
    }
    await using named = await Engine.open({ device: 'cpu', threads: 1, instructionSet: 'scalar' });
    expect(named.instructionSet).toBe('scalar');
    process.env['COMPACT_INSTRUCTION_SET'] = 'neon';
    const error = await errorOf(() => Engine.open({ device: 'cpu', threads: 1 }));
    expect([error.code, error.op]).toEqual(['ERR_COMPACT_DEVICE_UNAVAILABLE', 'COMPACT_INSTRUCTION_SET']);
  } finally {
    if (before === undefined) delete process.env['COMPACT_INSTRUCTION_SET'];
    else process.env['COMPACT_INSTRUCTION_SET'] = before;
  }
});

test('the memory limit is kept', async () => {
  await using engine = await Engine.open({ device: 'cpu', threads: 1, memoryLimitBytes: 2 ** 20 });
  const error = await errorOf(() => engine.load(largePlan(2 ** 20, 1)));
  expect([error.code, error.expected]).toEqual(['ERR_COMPACT_DOES_NOT_FIT', 'at most 1048576 bytes']);
  await engine.load(smallPlan());
});

test('workspaces are asked for with real calls only', async () => {
  const target = cpuTarget({ threads: 2 });
  const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
  const add = { op: 'add', inputs: [f32(2, 3), f32(2, 3)], outputs: [f32(2, 3)], attributes: {} };
  expect(target.workspaceBytes(add)).toBeGreaterThanOrEqual(0);
  const wrong = await errorOf(() => target.workspaceBytes({ ...add, inputs: [f32(2, 3), f32(7)] }));
  expect([wrong.code, wrong.expected, wrong.received]).toEqual([
    'ERR_COMPACT_SHAPE',
    'b f32[6 elements]',
    'f32[7]',
  ]);
  expect((await errorOf(() => target.workspaceBytes({ ...add, op: 'sotfmax' }))).code).toBe(
    'ERR_COMPACT_OP_UNSUPPORTED',
  );
  const attributes = { learningrate: 1 };
  expect((await errorOf(() => target.workspaceBytes({ ...add, attributes }))).code).toBe('ERR_COMPACT_SHAPE');
});

test('the environment report', () => {
  const { version, cpu, ops, projection } = environment();
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(cpu.instructionSets).toContain(cpu.chosen);
  expect(cpu.threads).toBeGreaterThan(0);
  expect(ops).toContain('add');
  expect(Object.keys(projection.sha256)).toEqual(cpu.instructionSets);
  expect(new Set(Object.values(projection.sha256)).size).toBe(1);
});
