/** DoRA on machines: steps of factors and magnitudes, against the paper's equations in double precision. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { dense, dora, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { runOptimizerStep } from '../../lib/train/schedule/optimizer-step.js';
import { expectExactResume, train } from '../helpers/exact-resume.js';
import { cudaDevice, type MachineName, targetsOf, withEngine } from '../helpers/machines.js';
import { adamEquation } from '../helpers/method-equations.js';
import { randomIntegers } from '../helpers/random.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import { putWeights, readValues } from '../helpers/whole-model.js';
import { windowOf } from '../helpers/window-of.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { product, transposed } from '../reference/product.js';
import { exact } from '../reference/tensor.js';

const small: LlamaConfig = {
  vocabSize: 29,
  hiddenSize: 16,
  intermediateSize: 40,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};
const shape = { batchSize: 2, sequenceLength: 8 };
const [r, loraAlpha, learningRate] = [4, 8, 0.01];
const scale = loraAlpha / r;
const adam = { betas: [0.9, 0.99], epsilon: 1e-3 } as const;
const method = dora({ r, loraAlpha, ...adam, targetModules: ['query', 'up', 'down'] });
const isTarget = (name: string): boolean => /(?:q|up|down)_proj\.weight$/.test(name);

function normsOf({ shape, data }: Tensor): Tensor {
  const [, columns] = shape as [number, number];
  const norm = (_: unknown, j: number): number =>
    Math.hypot(...data.filter((_value, i) => i % columns === j));
  return tensor([columns], Float64Array.from({ length: columns }, norm));
}
const byColumns = (matrix: Tensor, factor: (column: number) => number): Tensor =>
  mapElements(matrix, (value, i) => value * factor(i % matrix.shape[1]!));
const sumOfColumns = ({ shape: [, columns], data }: Tensor): Tensor => {
  const sums = tensor([columns!]);
  for (const [i, value] of data.entries()) sums.data[i % columns!]! += value;
  return sums;
};

/** A frozen W (n, m) with its trained A (n, r), B (r, m) and magnitudes m. */
class Layer {
  readonly #w: Tensor;
  readonly #layer: string;
  readonly trained: Map<string, Tensor>;
  readonly #states = new Map<string, Tensor>();

  constructor(name: string, w: Tensor, a: Tensor, b: Tensor) {
    this.#w = w;
    this.#layer = name.replace('.weight', '');
    const sum = mapElements(w, (value, i) => value + scale * product(a, b, exact).data[i]!);
    this.trained = new Map([
      [`${this.#layer}.lora_A.weight`, a],
      [`${this.#layer}.lora_B.weight`, b],
      [`${this.#layer}.lora_magnitude_vector`, normsOf(sum)],
    ]);
  }

  get #parts(): readonly [Tensor, Tensor, Tensor] {
    return [...this.trained.values()] as [Tensor, Tensor, Tensor];
  }

  /** V = W + s A B (equation 5). */
  get #sum(): Tensor {
    const [a, b] = this.#parts;
    const change = product(a, b, exact);
    return mapElements(this.#w, (value, i) => value + scale * change.data[i]!);
  }

  /** W' = m V / |V|. */
  get weight(): Tensor {
    const [norms, [, , m]] = [normsOf(this.#sum), this.#parts];
    return byColumns(this.#sum, (j) => m.data[j]! / norms.data[j]!);
  }

  /** Of the gradient of W' with |V| a constant: dV = m / |V| dW', dm = the sum of dW' V / |V| over rows (equations 6 and 11). */
  step(gradient: Tensor, step: number): void {
    const [[a, b, m], sum] = [this.#parts, this.#sum];
    const norms = normsOf(sum);
    const dv = byColumns(gradient, (j) => (scale * m.data[j]!) / norms.data[j]!);
    const along = mapElements(gradient, (value, i) => value * sum.data[i]!);
    const dm = mapElements(sumOfColumns(along), (value, j) => value / norms.data[j]!);
    const gradients = [product(dv, transposed(b), exact), product(transposed(a), dv, exact), dm];
    for (const [i, [name, value]] of [...this.trained].entries()) {
      const direction = adamEquation(this.#states, name, gradients[i]!, { step, ...adam });
      this.trained.set(
        name,
        mapElements(value, (old, k) => old - learningRate * direction.data[k]!),
      );
    }
  }
}

function batchOf(name: string) {
  const numCountedTokens = shape.batchSize * shape.sequenceLength;
  const of = (input: string): Int32Array =>
    Int32Array.from(randomIntegers(`${name} ${input}`, [numCountedTokens], small.vocabSize).data);
  return { inputs: { tokens: of('tokens'), targets: of('targets') }, numCountedTokens };
}

/** Largest differences of losses and of what is trained, as a share of the largest. */
async function difference(
  machine: MachineName,
  options: Partial<CompileOptions>,
  microBatches = 1,
): Promise<number> {
  const model = llama(small);
  const start = new TwinTrainer(model, method, shape).persistent;
  const twin = new TwinTrainer(model, dense(), shape);
  const layers = new Map(
    [...twin.persistent.keys()].filter(isTarget).map((name) => {
      const factor = (letter: string) => start.get(name.replace('.weight', `.lora_${letter}.weight`))!;
      // B that is not zero: directions change from the first step on.
      const b = mapElements(factor('B'), (_, i) => 0.05 * Math.sin(i + 1));
      start.set(name.replace('.weight', '.lora_B.weight'), b);
      return [name, new Layer(name, twin.persistent.get(name)!, factor('A'), b)];
    }),
  );
  const target = targetsOf(machine, [2])[0]!;
  const plan = compile({ model, method, target, ...shape, dtype: 'f32', entries: ['train'], ...options });
  let worst = 0;
  const compare = (found: ArrayLike<number>, right: ArrayLike<number>): void => {
    const largest = Math.max(...Array.from(right, Math.abs));
    for (let i = 0; i < right.length; i++) worst = Math.max(worst, Math.abs(found[i]! - right[i]!) / largest);
  };
  await withEngine(machine, 2, async (engine) => {
    await engine.load(plan);
    await putWeights(engine, plan, start, model.constants(shape.sequenceLength));
    await engine.run('prepare');
    const clock = new StepClock(method);
    for (let step = 1; step <= 20; step++) {
      const names = Array.from({ length: microBatches }, (_, i) => `batch ${step} ${i}`);
      const scalars = { ...clock.scalars, learningRate };
      const { loss } = await runOptimizerStep(engine, plan, windowOf(names.map(batchOf)), scalars);
      for (const entry of clock.completeStep()!.entries) await engine.run(entry, { scalars: clock.scalars });
      for (const [name, layer] of layers) twin.persistent.set(name, layer.weight);
      const results = names.map((name) => twin.gradients(name));
      compare([loss], [results.reduce((sum, result) => sum + result.loss, 0) / microBatches]);
      for (const [name, layer] of layers) {
        const [first, ...others] = results.map(({ gradients }) => gradients.get(name)!);
        const mean = mapElements(
          first!,
          (value, i) => others.reduce((sum, { data }) => sum + data[i]!, value) / microBatches,
        );
        layer.step(mean, step);
      }
    }
    for (const { trained } of layers.values())
      for (const [name, { data }] of trained) compare(await readValues(engine, plan, name), data);
  });
  return worst;
}

describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['in one run', {}, 1],
    ['with accumulation', { accumulateGradients: true }, 2],
    ['with recomputation', { recompute: 'layer' as const }, 1],
  ])('%s', async (_, options, microBatches) => {
    // fp32 over twenty steps: Adam divides by roots of small numbers, which multiplies the error of gradients.
    expect(await difference(machine, options, microBatches)).toBeLessThan(5e-5);
  });
});

describe('a run', () => {
  const { folder, text } = makeFolder();
  let numRuns = 0;
  const newOutput = (): string => join(folder, `run-${numRuns++}`);
  const tiny = { method: dora({ r: 4, targetModules: 'all-linear' }), learningRate: 0.05 };

  test.each([
    ['f32', {}],
    ['bf16', { dtype: 'bf16' as const }],
    ['accumulation and clipping', { gradientAccumulationSteps: 2, maxGradNorm: 0.5 }],
  ])('that goes on equals an uninterrupted one to the bit: %s', async (_, change) => {
    await expectExactResume(tinyRun(text, { ...tiny, ...change }), newOutput, [2, 5]);
  });

  test('starts from the model as it is, and learns in bf16 about as in f32', async () => {
    const lossesOf = async (change: Parameters<typeof tinyRun>[1]): Promise<readonly number[]> =>
      (await train(tinyRun(text, { ...tiny, maxSteps: 20, outputDirectory: newOutput(), ...change }))).losses;
    const [plain, f32, bf16] = [
      await lossesOf({ method: dense() }),
      await lossesOf({}),
      await lossesOf({ dtype: 'bf16' }),
    ];
    expect(Math.abs(f32[0]! - plain[0]!)).toBeLessThan(1e-5);
    expect(f32.at(-1)!).toBeLessThan(f32[0]! - 0.1);
    expect(Math.abs(bf16.at(-1)! - f32.at(-1)!)).toBeLessThan(0.1);
  });
});
