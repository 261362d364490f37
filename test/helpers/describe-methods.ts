/** Tests that every method has to pass on whatever can run a plan: steps of the recorded model against its float64 twin. */
import { describe, expect, test } from '@jest/globals';
import type { CompileOptions, RecomputePolicy } from '../../lib/compile/index.js';
import { StepClock, type Method } from '../../lib/methods/index.js';
import type { WholeModelOptions } from './describe-whole-model.js';
import { randomIntegers } from './random.js';
import { TwinTrainer } from './twin-trainer.js';
import {
  largestDifference,
  type Machine,
  parameterNames,
  putWeights,
  readValues,
  tinyLlama,
  tinyModel,
  tinyPlan,
  trainTiny,
} from './whole-model.js';

export interface MethodCase {
  readonly method: Method;
  /** Largest difference of a weight or loss after six steps in fp32, with its reason; default `roundings`. */
  readonly tolerance?: number;
  /** Of the model: false where silu is to be an op of its own. Default true. */
  readonly fuseSwiglu?: boolean;
}

/** Roundings to fp32 of weights near 1 and of their gradients, in six steps. */
export const roundings = 2e-5;

const learningRate = 0.003;
const sixSteps = ['one', 'two', 'three', 'four', 'five', 'six'];
const { sequences: batchSize, positions: sequenceLength } = tinyLlama;
const shape = { batchSize, sequenceLength };

const numbers = (of: string) =>
  Int32Array.from(randomIntegers(of, [batchSize * sequenceLength], tinyModel().vocabularySize).data);

const batchOf = (step: string) => ({
  inputs: { tokens: numbers(`${step} tokens`), targets: numbers(`${step} targets`) },
  numCountedTokens: batchSize * sequenceLength,
});

/** The twin of a method after some steps, with its losses. */
function twinOf(
  { method, fuseSwiglu }: MethodCase,
  names: readonly string[],
  recompute: RecomputePolicy = 'none',
) {
  const twin = new TwinTrainer(tinyModel(), method, { ...shape, fuseSwiglu, recompute });
  const clock = new StepClock(method);
  const start = new Map([...twin.persistent]);
  const losses = names.map((name) => {
    const rate = clock.learningRateFactor * learningRate;
    const loss = twin.step(name, { ...clock.scalars, learningRate: rate });
    for (const entry of clock.completeStep()?.entries ?? []) twin.between(entry, clock.scalars);
    return loss;
  });
  return { twin, start, losses };
}

export function describeMethods(
  cases: Readonly<Record<string, MethodCase>>,
  { target, withMachine, isSlow = false }: WholeModelOptions,
): void {
  const steps = isSlow ? sixSteps.slice(0, 3) : sixSteps;

  /** Trains with the weights that the twin started with; each batch stands in as many micro-batches. */
  async function train(
    given: MethodCase,
    names: readonly string[],
    { microBatches = 1, ...options }: Partial<CompileOptions> & { readonly microBatches?: number } = {},
    look: (machine: Machine, plan: ReturnType<typeof tinyPlan>) => Promise<void> = async () => undefined,
  ) {
    const { method, fuseSwiglu } = given;
    const { start } = twinOf(given, []);
    const plan = tinyPlan(method, target, { entries: ['train'], fuseSwiglu, ...options });
    const weights: Record<string, Float64Array> = {};
    let losses: readonly number[] = [];
    let gradientNorms: readonly (number | undefined)[] = [];
    await withMachine(plan, async (machine) => {
      await putWeights(machine, plan, start, tinyModel().constants(sequenceLength));
      const data = names.flatMap((name) =>
        Array<ReturnType<typeof batchOf>>(microBatches).fill(batchOf(name)),
      );
      const run = { microBatches, learningRates: names.map(() => learningRate) };
      ({ losses, gradientNorms } = await trainTiny(machine, plan, method, run, data));
      for (const name of parameterNames(plan)) weights[name] = await readValues(machine, plan, name);
      await look(machine, plan);
    });
    return { losses, gradientNorms, weights };
  }

  describe.each(Object.entries(cases))('%s', (_, given) => {
    const { method, tolerance = roundings } = given;

    test('losses and weights are those of the float64 twin', async () => {
      const { losses, weights } = await train(given, steps);
      const { twin, start, losses: expected } = twinOf(given, steps);
      expect(largestDifference(losses, expected)).toBeLessThan(tolerance);
      let moved = 0;
      for (const [name, values] of Object.entries(weights)) {
        expect(largestDifference(values, twin.persistent.get(name)!.data)).toBeLessThan(tolerance);
        moved = Math.max(moved, largestDifference(values, start.get(name)!.data));
      }
      expect(moved).toBeGreaterThan(20 * tolerance);
    });

    test.each(isSlow ? (['layer'] as const) : (['cheap', 'layer'] as const))(
      'recompute %s',
      async (recompute) => {
        const found = await train(given, steps, { recompute });
        if (method.saving.codec === undefined) expect(found).toEqual(await train(given, steps));
        const { twin, losses } = twinOf(given, steps, recompute);
        expect(largestDifference(found.losses, losses)).toBeLessThan(tolerance);
        for (const [name, values] of Object.entries(found.weights))
          expect(largestDifference(values, twin.persistent.get(name)!.data)).toBeLessThan(tolerance);
      },
    );

    test('a batch in three equal micro-batches is the batch', async () => {
      const [whole, thrice] = [
        await train(given, steps),
        await train(given, steps, { microBatches: 3, accumulateGradients: true }),
      ];
      expect(largestDifference(thrice.losses, whole.losses)).toBeLessThan(tolerance);
      for (const [name, values] of Object.entries(whole.weights))
        expect(largestDifference(thrice.weights[name]!, values)).toBeLessThan(tolerance);
    });

    test('clipping scales gradients by their global norm', async () => {
      const { gradients } = twinOf(given, []).twin.gradients('one');
      const norm = Math.sqrt([...gradients.values()].reduce((sum, { data }) => sum + squares(data), 0));
      const beta1 = 0.9;
      const { gradientNorms } = await train(
        given,
        ['one'],
        { maxGradNorm: norm / 4 },
        async (machine, plan) => {
          for (const [name, { data }] of gradients) {
            const found = await readValues(machine, plan, `${name}.expAvg`);
            const expected = data.map((x) => ((1 - beta1) * x) / 4);
            expect(largestDifference(found, expected)).toBeLessThan(tolerance);
          }
        },
      );
      expect(gradientNorms[0]! / norm).toBeCloseTo(1, 4);
    });

    test('bf16 stays near', async () => {
      const [exact, found] = [await train(given, steps), await train(given, steps, { dtype: 'bf16' })];
      // A rounding of relative size 2^-8 for each of some ten values between a token and its loss.
      expect(largestDifference(found.losses, exact.losses)).toBeLessThan(0.03 * exact.losses[0]!);
      const [before, after] = [found.losses[0]!, exact.losses.at(-1)!];
      expect(Number.isFinite(before + after)).toBe(true);
    });
  });
}

const squares = (data: Float64Array): number => data.reduce((sum, x) => sum + x * x, 0);
