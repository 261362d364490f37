/** Tests of whole training runs, for whatever can run a plan: an engine, or the float64 twins. */
import { describe, expect, test } from '@jest/globals';
import type { CompileOptions, Plan, RecomputePolicy, Target } from '../../lib/compile/index.js';
import type { CompactOptions } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { CachedSequences } from '../../lib/train/generation/cached-sequences.js';
import { compile } from '../../lib/compile/index.js';
import { StepClock } from '../../lib/methods/index.js';
import { readJson, readTensors } from './fixtures.js';
import { randomIntegers } from './random.js';
import { withSeparateNorms } from './separate-norms.js';
import {
  batches,
  largestDifference,
  type Machine,
  methodOf,
  parameterNames,
  putWeights,
  readValues,
  type RecordedRun,
  startTiny,
  tinyLlama,
  tinyModel,
  tinyPlan,
  tinyTensors,
  trainTiny,
  type TrainingSteps,
} from './whole-model.js';
import { TwinTrainer } from './twin-trainer.js';

export interface WholeModelOptions {
  readonly target: Target;
  /** Gives `body` a machine with the plan loaded, and closes it afterwards. */
  withMachine(plan: Plan, body: (machine: Machine) => Promise<void>): Promise<void>;
  /** Leaves out variants of what other tests cover as well. */
  readonly isSlow?: boolean;
}

/**
 * Error of a result of size `scale`: that of the naive fp32 program, and the rounding of fp32 storage. The program's is one
 * draw of roundings and an instruction set's another, so it is taken several times: three times, but six times of the sum
 * of a tensor. Ten steps of Adam divide by roots of small numbers, and errors of the embedding's elements do not cancel in
 * its sum: AVX2 differs by 6.6e-5 there (five times the program), its norm by 7e-7; AVX-512 by less than twice.
 */
const allowed = (naive: number, scale: number, draws = 3): number => draws * naive + 2 ** -22 * scale;

/** The naive program's errors are one draw of roundings in each run; the largest of these like runs is the yardstick. */
const naive = {
  losses: Math.max(...tinyLlama.runs.map(({ naiveErrors }) => naiveErrors.losses)),
  gradientNorms: Math.max(...tinyLlama.runs.map(({ naiveErrors }) => naiveErrors.gradientNorms)),
  sumsAndNorms: Math.max(...tinyLlama.runs.map(({ naiveErrors }) => naiveErrors.sumsAndNorms)),
};

const policies: readonly RecomputePolicy[] = ['none', 'cheap', 'layer'];
const adam = { betas: [0.9, 0.99], epsilon: 1e-4, weightDecay: 0.1 } as const;
const fourSteps = { microBatches: 1, learningRates: [0.01, 0.01, 0.01, 0.01] };

export function describeWholeModel({ target, withMachine, isSlow = false }: WholeModelOptions): void {
  /** Losses of a short run and the parameters after it. */
  async function outcome(
    method: RecordedRun['method'],
    options: Partial<CompileOptions> = {},
    run: TrainingSteps = fourSteps,
    changed: (plan: Plan) => Plan = (plan) => plan,
  ): Promise<{ losses: readonly number[]; parameters: Readonly<Record<string, Float64Array>> }> {
    const rules = methodOf(method);
    const plan = changed(tinyPlan(rules, target, { entries: ['train'], ...options }));
    const parameters: Record<string, Float64Array> = {};
    let losses: readonly number[] = [];
    await withMachine(plan, async (machine) => {
      await startTiny(machine, plan);
      ({ losses } = await trainTiny(machine, plan, rules, run));
      for (const name of parameterNames(plan)) parameters[name] = await readValues(machine, plan, name);
    });
    return { losses, parameters };
  }

  describe('loss and gradients of the recorded model', () => {
    for (const kind of ['untied', 'tied'] as const) {
      test.each(policies)(`${kind} head, recompute %s`, async (recompute) => {
        const { loss, naiveLossError, naiveErrors } = tinyLlama.gradients[kind];
        const options = { accumulateGradients: true, recompute };
        const plan = tinyPlan(methodOf({ name: 'dense' }), target, options, {
          tieWordEmbeddings: kind === 'tied',
        });
        await withMachine(plan, async (machine) => {
          await startTiny(machine, plan);
          const { inputs, numCountedTokens } = batches[0]!;
          const lossScale = 1 / numCountedTokens;
          const { outputs } = await machine.run('accumulate', {
            inputs,
            scalars: { accumulate: 0, lossScale },
          });
          expect(Math.abs(outputs.loss![0]! - loss)).toBeLessThan(allowed(naiveLossError, loss));
          for (const [name, naive] of Object.entries(naiveErrors)) {
            const right = tinyTensors.get(`${kind}.${name}`)!.data;
            const found = await readValues(machine, plan, `${name}.gradient`);
            expect(largestDifference(found, right)).toBeLessThan(
              allowed(naive, Math.max(...right.map(Math.abs))),
            );
          }
          const evaluated = await machine.run('evaluate', { inputs, scalars: { lossScale } });
          expect(evaluated.outputs.loss![0]).toBe(outputs.loss![0]);
        });
      });
    }
  });

  describe('ten recorded steps', () => {
    test.each(tinyLlama.runs)('$name', async (run) => {
      const { maxGradNorm, microBatches } = run;
      const method = methodOf(run.method);
      const accumulateGradients = microBatches > 1;
      const plan = tinyPlan(method, target, { accumulateGradients, maxGradNorm, entries: ['train'] });
      await withMachine(plan, async (machine) => {
        await startTiny(machine, plan);
        const { losses, gradientNorms } = await trainTiny(machine, plan, method, run);
        expect(largestDifference(losses, run.losses)).toBeLessThan(allowed(naive.losses, run.losses[0]!));
        if (maxGradNorm > 0) {
          const norms = gradientNorms.map(Number);
          const largest = Math.max(...run.gradientNorms);
          expect(largest).toBeGreaterThan(maxGradNorm); // clipping has something to do
          expect(largestDifference(norms, run.gradientNorms)).toBeLessThan(
            allowed(naive.gradientNorms, largest),
          );
        }
        for (const [name, right] of Object.entries(run.sumsAndNorms)) {
          const values = await readValues(machine, plan, name);
          const sum = values.reduce((a, b) => a + b, 0);
          const norm = Math.sqrt(values.reduce((a, b) => a + b * b, 0));
          expect(largestDifference([sum, norm], right)).toBeLessThan(allowed(naive.sumsAndNorms, norm, 6));
        }
      });
    });
  });

  describe('a rate for every role', () => {
    const roleRates = { embeddingLearningRate: 0.004, headLearningRate: 0.002, normLearningRate: 0.0005 };
    const methods = {
      dense: { name: 'dense', ...adam },
      compact: { name: 'compact', ...adam, rankRatio: 0.5, refreshInterval: 2 },
    } as const;

    test.each(['dense', 'compact'] as const)('%s: the weights of the float64 twin', async (name) => {
      const method = methodOf(methods[name]);
      const plan = tinyPlan(method, target, { entries: ['train'] });
      const { sequences: batchSize, positions: sequenceLength } = tinyLlama;
      const twin = new TwinTrainer(tinyModel(), method, { batchSize, sequenceLength });
      const words = ['one', 'two', 'three'];
      const shape = [batchSize * sequenceLength];
      const numbers = (of: string) =>
        Int32Array.from(randomIntegers(of, shape, tinyModel().vocabularySize).data);
      await withMachine(plan, async (machine) => {
        await putWeights(machine, plan, twin.persistent, tinyModel().constants(sequenceLength));
        const run = { microBatches: 1, learningRates: [0.001, 0.001, 0.001], roleRates };
        const data = words.map((word) => ({
          inputs: { tokens: numbers(`${word} tokens`), targets: numbers(`${word} targets`) },
          numCountedTokens: shape[0]!,
        }));
        const { losses } = await trainTiny(machine, plan, method, run, data);
        const clock = new StepClock(method);
        const expected = words.map((word) => {
          const loss = twin.step(word, { ...clock.scalars, learningRate: 0.001, ...roleRates });
          clock.completeStep();
          return loss;
        });
        // Roundings to fp32 of weights near 1 and of their gradients, in three steps; a rate of another role moves
        // a weight by hundreds of times as much.
        expect(largestDifference(losses, expected)).toBeLessThan(1e-5);
        for (const parameter of parameterNames(plan)) {
          const found = await readValues(machine, plan, parameter);
          expect(largestDifference(found, twin.persistent.get(parameter)!.data)).toBeLessThan(1e-5);
        }
      });
    });

    test.each(isSlow ? (['compact'] as const) : (['dense', 'compact'] as const))(
      '%s: equal rates change no bit',
      async (name) => {
        const equal = { embeddingLearningRate: 0.01, headLearningRate: 0.01, normLearningRate: 0.01 };
        const one = await outcome(methods[name]);
        expect(await outcome(methods[name], {}, { ...fourSteps, roleRates: equal })).toEqual(one);
        expect(await outcome(methods[name], {}, { ...fourSteps, roleRates })).not.toEqual(one);
      },
    );
  });

  describe('equal by construction', () => {
    const compactOptions = { ...adam, rankRatio: 0.5, refreshInterval: 2 };

    test('recompute policies change no bit of a dense run', async () => {
      const [none, ...others] = await inOrder(policies, (recompute) =>
        outcome({ name: 'dense', ...adam }, { recompute }),
      );
      for (const other of others) expect(other).toEqual(none);
    });

    test.each(isSlow ? (['transfer'] as const) : (['keep', 'reset', 'transfer'] as const))(
      'neither policies nor laziness change a bit of a compact run (moments at refresh: %s)',
      async (momentsAtRefresh) => {
        const variants = (['stored', 'lazy'] as const).flatMap((store) =>
          (isSlow ? (['none', 'layer'] as const) : policies).map((recompute) => ({ store, recompute })),
        );
        const [first, ...others] = await inOrder(variants, ({ store, recompute }) =>
          outcome({ name: 'compact', ...compactOptions, momentsAtRefresh, store }, { recompute }),
        );
        for (const other of others) expect(other).toEqual(first);
      },
    );

    test.each(isSlow ? (['bf16'] as const) : (['f32', 'bf16'] as const))(
      'a norm and the addition before it in one op change no bit (%s)',
      async (dtype) => {
        for (const recompute of ['none', 'layer'] as const) {
          const method = { name: 'compact', ...compactOptions, store: 'lazy' } as const;
          const separate = (plan: Plan): Plan => {
            const separated = withSeparateNorms(plan);
            expect(plan.entries.step!.instructions.length).toBe(
              separated.entries.step!.instructions.length - 2 * tinyLlama.config.numHiddenLayers,
            );
            return separated;
          };
          const together = await outcome(method, { dtype, recompute });
          expect(await outcome(method, { dtype, recompute }, fourSteps, separate)).toEqual(together);
        }
      },
    );

    test('compact with the identity at full rank is dense training', async () => {
      const identity: CompactOptions = {
        ...adam,
        distribution: 'identity',
        rankRatio: 1,
        updateScale: 1,
        outputUpdateScale: 1,
        refreshInterval: 2,
      };
      const dense = await outcome({ name: 'dense', ...adam });
      const found = await outcome({ name: 'compact', ...identity });
      // The same numbers through other kernels: a few roundings of weights near 1 in four steps.
      expect(largestDifference(found.losses, dense.losses)).toBeLessThan(1e-5);
      for (const [name, values] of Object.entries(dense.parameters))
        expect(largestDifference(found.parameters[name]!, values)).toBeLessThan(1e-5);
    });

    test.each(isSlow ? (['compact'] as const) : (['dense', 'compact'] as const))(
      'three micro-batches are one large batch (%s)',
      async (name) => {
        const method: RecordedRun['method'] =
          name === 'dense' ? { name, ...adam } : { name, ...compactOptions };
        const windows = { microBatches: 3, learningRates: [0.01, 0.01, 0.01] };
        const small = await outcome(method, { accumulateGradients: true, maxGradNorm: 0.5 }, windows);
        const rules = methodOf(method);
        const batchSize = 3 * tinyLlama.sequences;
        const plan = tinyPlan(rules, target, { batchSize, maxGradNorm: 0.5, entries: ['train'] });
        await withMachine(plan, async (machine) => {
          await startTiny(machine, plan);
          const merged = [0, 3, 6].map((first) => mergeBatches(first, 3));
          const { losses } = await trainTiny(machine, plan, rules, { ...windows, microBatches: 1 }, merged);
          expect(largestDifference(losses, small.losses)).toBeLessThan(1e-5);
          for (const [parameter, values] of Object.entries(small.parameters))
            expect(largestDifference(await readValues(machine, plan, parameter), values)).toBeLessThan(1e-5);
        });
      },
    );

    test('separate silu and product are swiglu', async () => {
      const method = { name: 'dense', ...adam } as const;
      const [fused, separate] = [await outcome(method), await outcome(method, { fuseSwiglu: false })];
      expect(largestDifference(separate.losses, fused.losses)).toBeLessThan(1e-5);
    });
  });

  describe('bf16', () => {
    test.each(['f32', 'bf16'] as const)(
      'gradients in %s are near the recorded ones',
      async (gradientDtype) => {
        const { loss, naiveErrors } = tinyLlama.gradients.untied;
        const options = { accumulateGradients: true, dtype: 'bf16', gradientDtype } as const;
        const plan = tinyPlan(methodOf({ name: 'dense' }), target, options);
        await withMachine(plan, async (machine) => {
          await startTiny(machine, plan);
          const { inputs, numCountedTokens } = batches[0]!;
          const scalars = { accumulate: 0, lossScale: 1 / numCountedTokens };
          const { outputs } = await machine.run('accumulate', { inputs, scalars });
          expect(Math.abs(outputs.loss![0]! / loss - 1)).toBeLessThan(0.01);
          for (const name of Object.keys(naiveErrors)) {
            const right = tinyTensors.get(`untied.${name}`)!.data;
            const found = await readValues(machine, plan, `${name}.gradient`);
            const error = right.reduce((sum, value, i) => sum + (found[i]! - value) ** 2, 0);
            const size = right.reduce((sum, value) => sum + value ** 2, 0);
            // About ten roundings of relative size 2^-8 between a weight and its gradient, none of them correlated.
            expect(Math.sqrt(error / size)).toBeLessThan(0.04);
          }
        });
      },
    );
  });

  describe('two layers of stories260K', () => {
    const stories = readJson('stories260k.json') as Stories;
    const { config, tokens, naiveErrors } = stories;
    const model = llama(config);
    const sequenceLength = tokens.length - 1;
    const plan = compile({
      model,
      method: methodOf({ name: 'dense' }),
      target,
      batchSize: 1,
      sequenceLength,
      dtype: 'f32',
      accumulateGradients: true,
    });
    const inputs = {
      tokens: Int32Array.from(tokens.slice(0, -1)),
      targets: Int32Array.from(tokens.slice(1)),
    };

    test('loss, last logits and gradient norms', async () => {
      await withMachine(plan, async (machine) => {
        const weights = readTensors('stories260k.safetensors');
        await putWeights(machine, plan, weights, model.constants(sequenceLength));
        const scalars = { accumulate: 0, lossScale: 1 / sequenceLength };
        const { outputs } = await machine.run('accumulate', { inputs, scalars });
        expect(Math.abs(outputs.loss![0]! - stories.loss)).toBeLessThan(
          allowed(naiveErrors.loss, stories.loss),
        );
        for (const [name, norm] of Object.entries(stories.gradientNorms)) {
          const gradient = await readValues(machine, plan, `${name}.gradient`);
          const found = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
          expect(Math.abs(found - norm)).toBeLessThan(allowed(naiveErrors.gradientNorms, norm));
        }
        // All but the last token in parts, as a prompt is read.
        const written = new CachedSequences(machine, plan, sequenceLength);
        await written.prefill([[...inputs.tokens]]);
        const [lastLogits] = await written.next([[...inputs.tokens]]);
        const largest = Math.max(...stories.lastLogits.map(Math.abs));
        const difference = largestDifference(lastLogits!, stories.lastLogits);
        expect(difference).toBeLessThan(allowed(naiveErrors.lastLogits, largest));
      });
    });
  });
}

interface Stories {
  readonly config: LlamaConfig;
  readonly tokens: readonly number[];
  readonly loss: number;
  readonly lastLogits: readonly number[];
  readonly gradientNorms: Readonly<Record<string, number>>;
  readonly naiveErrors: Readonly<Record<'loss' | 'lastLogits' | 'gradientNorms', number>>;
}

async function inOrder<T, R>(items: readonly T[], body: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await body(item));
  return results;
}

/** Several recorded batches as one of as many more sequences. */
function mergeBatches(first: number, count: number): (typeof batches)[number] {
  const parts = batches.slice(first, first + count);
  return {
    inputs: {
      tokens: Int32Array.from(parts.flatMap(({ inputs }) => [...inputs.tokens])),
      targets: Int32Array.from(parts.flatMap(({ inputs }) => [...inputs.targets])),
    },
    numCountedTokens: parts.reduce((sum, { numCountedTokens }) => sum + numCountedTokens, 0),
  };
}
