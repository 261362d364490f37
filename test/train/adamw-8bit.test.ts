/** AdamW with states of eight bits on machines: twenty steps against the equations in double precision, resume, bytes. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { compact, dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { expectExactResume } from '../helpers/exact-resume.js';
import { cudaDevice } from '../helpers/machines.js';
import { differenceFromEquations, type Equations } from '../helpers/method-equations.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';
import { decodedState, encodedState } from '../reference/dynamic-map.js';
import { exact, mapElements, type Tensor, tensor } from '../reference/index.js';

const [beta1, beta2, epsilon, weightDecay] = [0.9, 0.99, 1e-3, 0.1];
const method = dense({ optimizer: 'adamw-8bit', betas: [beta1, beta2], epsilon, weightDecay });
/** Matrices of the MLP have 8,192 elements, those of attention 4,096 and 2,048: eight bits and f32 side by side. */
const config = { hiddenSize: 64, intermediateSize: 128, numHiddenLayers: 1 };
const has8Bits = ({ data }: Tensor): boolean => data.length >= 4096;

/**
 * Adam's moments, each stored as codes of shares of the largest magnitude among 256. The codes are the machine's, which
 * must be the nearest ones up to a rounding in fp32: of two that are as near, either is right.
 */
function equations(): Equations {
  const states = new Map<string, Tensor>();
  const decoded = new Map<string, Tensor>();
  return {
    states,
    update(weight, gradient, { name, step, learningRate, given }) {
      const moved = (state: string, sign: 'signed' | 'unsigned', beta: number, now: Tensor): Tensor => {
        const of = `${name}.${state}`;
        const before = (has8Bits(now) ? decoded : states).get(of) ?? tensor(now.shape);
        const after = mapElements(before, (value, i) => beta * value + (1 - beta) * now.data[i]!);
        if (!has8Bits(now)) states.set(of, after);
        else {
          const { codes, scales } = encodedState(after, sign);
          const nearest = decodedState(codes, scales, sign, exact);
          const found = decodedState(given(state), given(`${state}Scales`), sign, exact);
          const excess = found.data.map((value, i) => {
            const [error, least] = [value, nearest.data[i]!].map((x) => Math.abs(x - after.data[i]!));
            return (error! - least!) / scales.data[Math.floor(i / 256)]!;
          });
          // Of its block's largest number; fp32 errors of a gradient are of the largest of the whole tensor. Codes next to
          // the nearest are wrong by 3.5e-3 at least where numbers are that large.
          expect(Math.max(...excess)).toBeLessThan(1e-3);
          decoded.set(of, found);
          states.set(`${of}Scales`, scales);
        }
        return after;
      };
      const m = moved('expAvg', 'signed', beta1, gradient);
      const v = moved(
        'expAvgSq',
        'unsigned',
        beta2,
        mapElements(gradient, (g) => g * g),
      );
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return mapElements(weight, (w, i) => {
        const root = Math.sqrt(v.data[i]! / (1 - beta2 ** step)) + epsilon;
        return w * keep - (learningRate * m.data[i]!) / (1 - beta1 ** step) / root;
      });
    },
  };
}

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['in one run', {}],
    ['with accumulation and clipping', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
    ['with recomputation', { options: { recompute: 'layer' as const } }],
  ])('%s', async (_, change) => {
    const given = ['expAvg', 'expAvgScales', 'expAvgSq', 'expAvgSqScales'];
    const run = { method, machine, config, given, steps: 20, learningRate: 0.01, ...change };
    const worst = await differenceFromEquations(run, equations());
    // fp32 over twenty steps of a model four times as wide as others are tested with, so twice the bound of losses there; the
    // order of sums is each machine's own.
    expect(worst.losses).toBeLessThan(2e-5);
    expect(worst.weights).toBeLessThan(5e-5);
    expect(worst.states).toBeLessThan(5e-4);
  });
});

describe('a run', () => {
  const { folder, text } = makeFolder();
  let numRuns = 0;
  const newOutput = (): string => join(folder, `run-${numRuns++}`);
  const optimizer = { optimizer: 'adamw-8bit' } as const;

  test.each([
    ['dense, f32', dense(optimizer), {}],
    ['dense, bf16', dense(optimizer), { dtype: 'bf16' as const }],
    ['compact', compact({ ...optimizer, rankRatio: 0.5, refreshInterval: 3 }), {}],
  ])('that is resumed equals an uninterrupted one to the bit: %s', async (_, of, change) => {
    await expectExactResume(tinyRun(text, { method: of, ...change }), newOutput, [2, 5]);
  });
});

describe('the plan of a model of 60M', () => {
  const bytesOf = (of: ReturnType<typeof dense>) => {
    const plan = compile({
      model: llama('llama-60m'),
      method: of,
      target: cpuTarget(),
      batchSize: 1,
      sequenceLength: 256,
      dtype: 'bf16',
      entries: ['train'],
    });
    const sum = (kind: string, of: 'bytes' | 'elements') =>
      plan.values
        .filter((value) => value.region === 'persistent' && value.kind === kind)
        .reduce(
          (total, { bytes, shape }) => total + (of === 'bytes' ? bytes : shape.reduce((a, b) => a * b)),
          0,
        );
    return { states: sum('optimizerState', 'bytes'), parameters: sum('parameter', 'elements') };
  };

  test('holds at most 1.02 bytes for an element of a moment', () => {
    const { states, parameters } = bytesOf(dense({ optimizer: 'adamw-8bit' }));
    expect(states / (2 * parameters)).toBeLessThanOrEqual(1.02);
    expect(states / (2 * parameters)).toBeGreaterThan(1);
    expect(bytesOf(dense({ stateFormat: '8bit' })).states).toBe(states);
  });
});

test('moments of eight bits cannot be transferred to a new projection', () => {
  expect(() => compact({ optimizer: 'adamw-8bit', momentsAtRefresh: 'transfer' })).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'momentsAtRefresh' }),
  );
  expect(() => compact({ optimizer: 'adamw-8bit', momentsAtRefresh: 'reset' })).not.toThrow();
  expect(() => dense({ optimizer: 'adamw-8bit', stateFormat: 'f32' })).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'stateFormat' }),
  );
});
