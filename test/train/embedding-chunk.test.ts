/** Gradients of embedding and head by rows, on machines: twenty steps against the equations of the papers, resume. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { dense, type Method, type MethodOptions } from '../../lib/methods/index.js';
import { adafactorEquations } from '../helpers/adafactor-equations.js';
import { expectExactResume, train } from '../helpers/exact-resume.js';
import { cudaDevice } from '../helpers/machines.js';
import { adamEquation, differenceFromEquations, type Equations } from '../helpers/method-equations.js';
import { adamMiniDirection, optimizerEquations, scaleDirection } from '../helpers/optimizer-equations.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';
import { type Tensor, tensor } from '../reference/index.js';

const weightDecay = 0.1;
/** Of a vocabulary of 29: parts of 12, 12 and 5. */
const embeddingChunk = 12;

const rowsOf = ({ data, shape }: Tensor, first: number, count: number): Tensor =>
  tensor([count, shape[1]!], data.slice(first * shape[1]!, (first + count) * shape[1]!));

/** Embedding and head in parts, each a matrix of its own. */
function inParts(equations: Equations): Equations {
  return {
    states: equations.states,
    update(weight, gradient, context) {
      const { name } = context;
      if (!name.includes('embed_tokens') && !name.startsWith('lm_head'))
        return equations.update(weight, gradient, context);
      const [rows] = weight.shape as [number];
      const result = tensor(weight.shape);
      for (let first = 0; first < rows; first += embeddingChunk) {
        const count = Math.min(embeddingChunk, rows - first);
        const part = equations.update(rowsOf(weight, first, count), rowsOf(gradient, first, count), {
          ...context,
          name: `${name}[${first}:${first + count}]`,
        });
        result.data.set(part.data, first * weight.shape[1]!);
      }
      return result;
    },
  };
}

const adamw = (): Equations =>
  optimizerEquations(
    ({ states, name, gradient, step }) =>
      adamEquation(states, name, gradient, { step, betas: [0.9, 0.999], epsilon: 1e-3 }),
    weightDecay,
  );
const shared = { weightDecay, embeddingChunk };

describe.each(['avx2', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['adamw', dense({ ...shared, epsilon: 1e-3 }), adamw],
    ['adafactor', dense({ ...shared, optimizer: 'adafactor' }), () => adafactorEquations(weightDecay)],
    [
      'adam-mini',
      dense({ ...shared, optimizer: 'adam-mini' }),
      () => optimizerEquations(adamMiniDirection(8), weightDecay),
    ],
    [
      'scale',
      dense({ ...shared, optimizer: 'scale' }),
      () => optimizerEquations(scaleDirection, weightDecay),
    ],
  ] as [string, Method, () => Equations][])('%s', async (_, method, equations) => {
    const run = { method, machine, steps: 20, learningRate: 0.003 };
    const worst = await differenceFromEquations(run, inParts(equations()));
    // fp32 over twenty steps.
    expect(worst.losses).toBeLessThan(1e-5);
    expect(worst.weights).toBeLessThan(2e-5);
    expect(worst.states).toBeLessThan(1e-4);
  });
});

describe.each([
  ['adamw', {}],
  ['scale, tables by adafactor', { optimizer: 'scale', embeddingOptimizer: 'adafactor' }],
  ['adamw-8bit', { optimizer: 'adamw-8bit' }],
] as [string, MethodOptions][])('a run with %s', (_, options) => {
  const { folder, text } = makeFolder();
  let numRuns = 0;
  const newOutput = (): string => join(folder, `run-${numRuns++}`);
  const method = dense({ ...options, embeddingChunk: 100 }); // parts of 100, 100 and 64

  test.each(['f32', 'bf16'] as const)('resumed equals an uninterrupted one to the bit: %s', async (dtype) => {
    await expectExactResume(tinyRun(text, { method, dtype }), newOutput, [2, 5]);
  });

  test('learns about as with whole tables, in bf16 about as in f32, the same with any number of threads', async () => {
    const lossesOf = async (of: Method, dtype: 'f32' | 'bf16', threads: number) => {
      const run = { method: of, learningRate: 0.01, dtype, threads, maxSteps: 20 };
      return (await train(tinyRun(text, { ...run, outputDirectory: newOutput() }))).losses;
    };
    const whole = await lossesOf(dense(options), 'f32', 1);
    const parts = await lossesOf(method, 'f32', 1);
    const bf16 = await lossesOf(method, 'bf16', 1);
    expect(await lossesOf(method, 'bf16', 3)).toEqual(bf16);
    // Steps of Adafactor are a share of the weights, which are small at first.
    expect(parts.at(-1)!).toBeLessThan(parts[0]! - 0.1);
    // Parts that are matrices of their own have other scales; rounding of weights to eight bits of mantissa is stochastic.
    expect(Math.abs(parts.at(-1)! - whole.at(-1)!)).toBeLessThan(0.15);
    expect(Math.abs(bf16.at(-1)! - parts.at(-1)!)).toBeLessThan(0.15);
  });
});
