/** Adafactor, AdaLomo and LOMO on machines: twenty steps against the equations of the papers in double precision, resume, bytes. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { adalomo, compact, dense, lomo, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { adafactorEquations } from '../helpers/adafactor-equations.js';
import { expectExactResume } from '../helpers/exact-resume.js';
import { cudaDevice } from '../helpers/machines.js';
import { differenceFromEquations, type Equations } from '../helpers/method-equations.js';
import { optimizerEquations, sgdDirection } from '../helpers/optimizer-equations.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';
import { mapElements } from '../reference/index.js';

const weightDecay = 0.1;
/** Equations of gradients whose elements are clipped first (`clip_grad_value` of LOMO's code). */
const clippedTo = (limit: number, { states, update }: Equations): Equations => ({
  states,
  update: (weight, gradient, context) =>
    update(
      weight,
      mapElements(gradient, (g) => Math.min(limit, Math.max(-limit, g))),
      context,
    ),
});

const window = [
  ['with accumulation', { microBatches: 3 }],
  ['with accumulation and clipping', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
] as const;
const whole = [
  ['in one run', {}],
  ['with recomputation', { options: { recompute: 'layer' } }],
] as const;

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  const relative = dense({ optimizer: 'adafactor', weightDecay });
  const absolute = dense({ optimizer: 'adafactor', scaleByParameter: false, weightDecay });
  const descent = optimizerEquations(sgdDirection(0, false), weightDecay);
  const maxGradValue = 0.01; // the largest elements of these gradients are several times that

  test.each<readonly [string, Method, Equations, object]>([
    ...[...whole, ...window].map(
      ([name, change]) => [`adafactor ${name}`, relative, adafactorEquations(weightDecay), change] as const,
    ),
    ['adafactor, not scaled by parameters', absolute, adafactorEquations(weightDecay, false), {}],
    ...whole.map(
      ([name, change]) =>
        [`adalomo ${name}`, adalomo({ weightDecay }), adafactorEquations(weightDecay), change] as const,
    ),
    [
      'adalomo, clipped by value',
      adalomo({ weightDecay, maxGradValue }),
      clippedTo(maxGradValue, adafactorEquations(weightDecay)),
      {},
    ],
    [
      'lomo, clipped by value',
      lomo({ weightDecay, maxGradValue }),
      clippedTo(maxGradValue, descent),
      { learningRate: 1 },
    ],
  ])('%s', async (_, method, ofPaper, change) => {
    const run = { method, machine, steps: 20, learningRate: 0.01, ...change };
    const worst = await differenceFromEquations(run, ofPaper);
    // fp32 over twenty steps; small gradients are divided by the roots of their own small means.
    expect(worst.losses).toBeLessThan(1e-5);
    expect(worst.weights).toBeLessThan(2e-5);
    expect(worst.states).toBeLessThan(1e-4);
  });
});

describe('a run', () => {
  const { folder, text } = makeFolder();
  let numRuns = 0;
  const newOutput = (): string => join(folder, `run-${numRuns++}`);

  test.each([
    ['adafactor', dense({ optimizer: 'adafactor' }), {}],
    ['adafactor, bf16', dense({ optimizer: 'adafactor' }), { dtype: 'bf16' as const }],
    ['adafactor in the space of projections', compact({ optimizer: 'adafactor', refreshInterval: 3 }), {}],
    ['adalomo', adalomo(), {}],
    ['adalomo, clipped by value', adalomo({ maxGradValue: 0.001 }), { dtype: 'bf16' as const }],
    ['lomo, clipped by value', lomo({ maxGradValue: 0.001 }), { learningRate: 1 }],
  ])('that is resumed equals an uninterrupted one to the bit: %s', async (_, method, change) => {
    await expectExactResume(tinyRun(text, { method, ...change }), newOutput, [2, 5]);
  });
});

const planOf = (method: Method, options: Partial<CompileOptions> = {}) =>
  compile({
    model: llama('llama-60m'),
    method,
    target: cpuTarget(),
    batchSize: 1,
    sequenceLength: 256,
    dtype: 'f32',
    entries: ['train'],
    ...options,
  });

test('states are a number for each row and each column', () => {
  const { values } = planOf(dense({ optimizer: 'adafactor' }));
  const persistent = values.filter(({ region }) => region === 'persistent');
  const elements = (kind: string, of: (shape: readonly number[]) => number) =>
    persistent.filter((value) => value.kind === kind).reduce((sum, { shape }) => sum + of(shape), 0);
  const numbers = elements('parameter', ([rows, columns]) =>
    columns === undefined ? 1 + rows! : rows! + columns,
  );
  expect(elements('optimizerState', ([size]) => size!)).toBe(numbers);
});

describe.each([
  ['adalomo', adalomo],
  ['lomo', lomo],
] as const)('%s', (name, method) => {
  test.each([0, 1])('holds no more than one gradient of a parameter at a time, clipped to %d', (limit) => {
    const { entries, values, peakBytes } = planOf(method({ maxGradValue: limit }), { lossChunkTokens: 64 });
    expect(peakBytes).toBe(planOf(method(), { lossChunkTokens: 64 }).peakBytes);
    const { lifetimes } = entries.step!;
    const parameters = values.filter(({ region, kind }) => region === 'persistent' && kind === 'parameter');
    const sizes = new Set(parameters.map(({ shape }) => shape.join()));
    const gradients = lifetimes
      .map((lifetime) => ({ ...lifetime, value: values[lifetime.value]! }))
      .filter(
        ({ value }) => value.kind === 'gradient' && sizes.has(value.shape.join()) && value.shape.length > 1,
      );
    expect(gradients.length).toBeGreaterThan(8 * 7);
    for (const { first } of gradients)
      expect(gradients.filter((other) => other.first <= first && first <= other.last)).toHaveLength(1);
  });

  test.each([
    ['accumulation', { accumulateGradients: true }],
    ['clipping', { maxGradNorm: 1 }],
    ['updates at the end', { updatePlacement: 'end' }],
  ] as const)('refuses %s', (_, options) => {
    expect(() => planOf(method(), options)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: name }),
    );
  });

  test('takes no optimizer but its own', () => {
    expect(() => method({ optimizer: 'adamw' })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'optimizer' }),
    );
  });
});

test('lomo is gradient descent without a state', () => {
  const { values } = planOf(lomo());
  expect(values.filter(({ kind }) => kind === 'optimizerState')).toEqual([]);
});
