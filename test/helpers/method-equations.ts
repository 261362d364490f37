/**
 * Steps of a method on a machine, beside the same steps by equations of a paper in double precision: gradients of the
 * twins at the weights that the equations give, clipped as they say. Weights that a machine rounds as it stores them, to
 * bf16 or int8, are compared after every step, and both go on from the machine's.
 */
import { expect } from '@jest/globals';
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { dense, type Method, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { runOptimizerStep } from '../../lib/train/schedule/optimizer-step.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { expectRounded, int8Weight, type Int8Weight, numbersOf, weightOfCodes } from './int8-weights.js';
import { type MachineName, targetsOf, withEngine } from './machines.js';
import { randomIntegers } from './random.js';
import { rounded } from './storage.js';
import { TwinTrainer } from './twin-trainer.js';
import { putWeights, readValues } from './whole-model.js';
import { windowOf } from './window-of.js';

/** What a paper says of the step of one parameter. */
export interface EquationContext {
  /** Of the weight, or of its codes: states are named after it. */
  readonly name: string;
  /** 1 for the first. */
  readonly step: number;
  readonly learningRate: number;
  /** A state of the machine's after its step, by the name behind that of the parameter: what the equations are given. */
  given(state: string): Tensor;
}

/** Gives the weight after a step, from its gradient after clipping; keeps states by their full names. */
export interface Equations {
  readonly states: Map<string, Tensor>;
  /** Whether a parameter is trained in a step, 1 for the first; others have no gradient. Absent: all are. */
  isTrained?(name: string, step: number): boolean;
  /** A gradient as the method has it, of which the norm is taken. Absent: whole. */
  compressed?(name: string, gradient: Tensor, step: number): Tensor;
  update(weight: Tensor, gradient: Tensor, context: EquationContext): Tensor;
}

export interface MethodRun {
  readonly method: Method;
  readonly machine: MachineName;
  readonly steps: number;
  readonly learningRate: number;
  /** Default f32. */
  readonly dtype?: 'f32' | 'bf16';
  /** Of weights in int8 before they are rounded, as a share of the largest of a group. Default 1e-5. */
  readonly codeTolerance?: number;
  /** States that the equations are given. */
  readonly given?: readonly string[];
  readonly microBatches?: number;
  readonly options?: Pick<CompileOptions, 'maxGradNorm' | 'recompute'>;
  /** Of the model, where it is to be larger. */
  readonly config?: Partial<LlamaConfig>;
}

const small: LlamaConfig = {
  vocabSize: 29,
  hiddenSize: 16,
  intermediateSize: 40,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};
const shape = { batchSize: 2, sequenceLength: 8 };

export interface MethodDifference {
  readonly losses: number;
  /** In f32 of the weights after the steps. In bf16 of a step, beyond what rounding it may do. */
  readonly weights: number;
  readonly states: number;
  /** Share of all codes of all steps that fell on the other side of a tie. */
  readonly ties: number;
}

/**
 * Largest difference of losses, weights and states: in f32 over the largest number of the tensor, in bf16 as lengths of
 * whole tensors over that of the right one. Weights in int8 are expected to be rounded as `expectRounded` says.
 */
export async function differenceFromEquations(
  {
    method,
    machine,
    steps,
    learningRate,
    dtype = 'f32',
    codeTolerance: tolerance = 1e-5,
    given = [],
    microBatches = 1,
    options = {},
    config,
  }: MethodRun,
  equations: Equations,
): Promise<MethodDifference> {
  const model = llama(small, config);
  const { maxGradNorm = 0 } = options;
  const twin = new TwinTrainer(model, dense(), shape);
  const plan = compile({
    model,
    method,
    target: targetsOf(machine, [2])[0]!,
    ...shape,
    dtype,
    entries: ['train'],
    accumulateGradients: microBatches > 1,
    ...options,
  });
  const parameters = plan.values.filter(
    ({ region, kind, name }) => region === 'persistent' && kind === 'parameter' && !name.endsWith('.scales'),
  );
  const relative = dtype === 'f32' ? byLargest : byLength;
  const worst = { losses: 0, weights: 0, states: 0 };
  let [numTies, numCodes] = [0, 0];
  const { seed = 42 } = method.describe() as { seed?: number };
  await withEngine(machine, 2, async (engine) => {
    await engine.load(plan);
    const start = new Map(twin.persistent);
    for (const { name } of parameters) {
      const coded = weightOfCodes(name);
      const numbers = twin.persistent.get(coded ?? name)!;
      if (coded === undefined) twin.persistent.set(name, rounded(numbers, dtype));
      else {
        const weight = int8Weight(rounded(numbers, dtype));
        start.set(name, weight.codes).set(`${coded}.scales`, weight.scales);
        twin.persistent.set(coded, numbersOf(weight));
      }
    }
    await putWeights(engine, plan, start, model.constants(shape.sequenceLength));
    const clock = new StepClock(method);
    const read = async (name: string): Promise<Tensor> => {
      const { shape: size } = plan.values.find((v) => v.region === 'persistent' && v.name === name)!;
      return tensor(size, await readValues(engine, plan, name));
    };
    const readInt8 = async (coded: string) => ({
      codes: await read(`${coded}.codes`),
      scales: await read(`${coded}.scales`),
    });
    /** Compares the weight of a machine after a step with that of the equations; gives what both go on from. */
    async function goOn(name: string, right: Tensor, step: number, before: Int8Before): Promise<Tensor> {
      const coded = weightOfCodes(name);
      if (coded !== undefined) {
        const after = await readInt8(coded);
        numTies += expectRounded(coded, right, before.get(coded)!, after, { seed, step, tolerance });
        numCodes += right.data.length;
        return numbersOf(after);
      }
      if (dtype === 'f32') return right;
      const found = await read(name);
      const moved = difference(right, twin.persistent.get(name)!);
      // Rounding is less than the distance of two neighbours, a 128th of the power of two below a number.
      const roundings = lengthOf(right.data.map((x) => 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7)));
      const error = Math.max(0, lengthOf(difference(found, right).data) - roundings);
      worst.weights = Math.max(worst.weights, error === 0 ? 0 : error / lengthOf(moved.data));
      return found;
    }
    for (let step = 1; step <= steps; step++) {
      const before: Int8Before = new Map();
      for (const { name } of parameters) {
        const coded = weightOfCodes(name);
        if (coded !== undefined) before.set(coded, await readInt8(coded));
      }
      const names = Array.from({ length: microBatches }, (_, i) => `batch ${step} ${i}`);
      const scalars = { ...clock.scalars, learningRate };
      const { variant } = clock;
      const window = windowOf(names.map(batchOf));
      const { loss } = await runOptimizerStep(engine, plan, window, scalars, { variant });
      for (const entry of clock.completeStep()?.entries ?? [])
        await engine.run(entry, { scalars: clock.scalars });
      const results = names.map((name) => twin.gradients(name));
      const right = results.reduce((sum, result) => sum + result.loss, 0) / microBatches;
      worst.losses = Math.max(worst.losses, Math.abs(loss - right) / right);
      const means = [...meanOf(results.map((result) => result.gradients))];
      const trained = means.filter(([name]) => equations.isTrained?.(name, step) ?? true);
      const held = trained.map(([name, of]) => equations.compressed?.(name, of, step) ?? of);
      const gradients = clipped(new Map(trained), held, maxGradNorm);
      for (const { name } of parameters) {
        const states = new Map<string, Tensor>();
        for (const state of given) {
          const isThere = plan.values.some((value) => value.name === `${name}.${state}`);
          if (isThere) states.set(state, await read(`${name}.${state}`));
        }
        const context = { name, step, learningRate, given: (state: string) => states.get(state)! };
        const numbers = weightOfCodes(name) ?? name;
        const [weight, gradient] = [twin.persistent.get(numbers)!, gradients.get(numbers)];
        const right = gradient === undefined ? weight : equations.update(weight, gradient, context);
        twin.persistent.set(numbers, await goOn(name, right, step, before));
      }
    }
    for (const { name } of parameters)
      if (dtype === 'f32' && weightOfCodes(name) === undefined)
        worst.weights = Math.max(worst.weights, relative(await read(name), twin.persistent.get(name)!));
    for (const [name, state] of equations.states)
      worst.states = Math.max(worst.states, relative(await read(name), state));
  });
  return { ...worst, ties: numCodes === 0 ? 0 : numTies / numCodes };
}

/**
 * The rule of gradients in bf16, of which losses are near to a hundredth: about ten roundings of relative size 2^-8 between a
 * weight and its gradient, none of them correlated, are 0.04 of its length. Squares and steps have twice that.
 * @param most where states or steps have more
 */
export function expectNearInBf16(
  { losses, states, weights }: MethodDifference,
  most: { readonly ofStates?: number; readonly ofSteps?: number } = {},
): void {
  const { ofStates = 0.08, ofSteps = 0.08 } = most;
  expect(losses).toBeLessThan(0.01);
  expect(states).toBeLessThan(ofStates);
  expect(weights).toBeLessThan(ofSteps);
}

type Int8Before = Map<string, Int8Weight>;

function batchOf(name: string) {
  const numTokens = shape.batchSize * shape.sequenceLength;
  const of = (input: string): Int32Array =>
    Int32Array.from(randomIntegers(`${name} ${input}`, [numTokens], small.vocabSize).data);
  return { inputs: { tokens: of('tokens'), targets: of('targets') }, numCountedTokens: numTokens };
}

function meanOf(all: readonly ReadonlyMap<string, Tensor>[]): Map<string, Tensor> {
  const [first] = all as [ReadonlyMap<string, Tensor>];
  return new Map(
    [...first.keys()].map((name) => [
      name,
      mapElements(
        first.get(name)!,
        (_, i) => all.reduce((sum, of) => sum + of.get(name)!.data[i]!, 0) / all.length,
      ),
    ]),
  );
}

/** @param held gradients as the method has them */
function clipped(
  gradients: Map<string, Tensor>,
  held: readonly Tensor[],
  maxGradNorm: number,
): ReadonlyMap<string, Tensor> {
  if (maxGradNorm === 0) return gradients;
  const squares = held.flatMap(({ data }) => [...data]).reduce((sum, x) => sum + x * x, 0);
  const scale = Math.min(1, maxGradNorm / (Math.sqrt(squares) + 1e-6));
  return new Map([...gradients].map(([name, g]) => [name, mapElements(g, (value) => value * scale)]));
}

const difference = (a: Tensor, b: Tensor): Tensor => mapElements(a, (value, i) => value - b.data[i]!);
const lengthOf = (values: Float64Array): number => Math.hypot(...values);
const largestOf = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
const byLargest = (found: Tensor, right: Tensor): number =>
  largestOf(difference(found, right).data) / largestOf(right.data);
const byLength = (found: Tensor, right: Tensor): number =>
  lengthOf(difference(found, right).data) / lengthOf(right.data);

/** The moments and the direction of AdamW, for equations that are made of it. */
export function adamEquation(
  states: Map<string, Tensor>,
  name: string,
  gradient: Tensor,
  { step, betas, epsilon }: { step: number; betas: readonly [number, number]; epsilon: number },
): Tensor {
  const [beta1, beta2] = betas;
  const zeros = tensor(gradient.shape);
  const m = mapElements(
    states.get(`${name}.expAvg`) ?? zeros,
    (old, i) => beta1 * old + (1 - beta1) * gradient.data[i]!,
  );
  const v = mapElements(
    states.get(`${name}.expAvgSq`) ?? zeros,
    (old, i) => beta2 * old + (1 - beta2) * gradient.data[i]! ** 2,
  );
  states.set(`${name}.expAvg`, m);
  states.set(`${name}.expAvgSq`, v);
  return mapElements(
    m,
    (first, i) => first / (1 - beta1 ** step) / (Math.sqrt(v.data[i]! / (1 - beta2 ** step)) + epsilon),
  );
}
