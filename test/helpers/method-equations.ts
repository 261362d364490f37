/**
 * Steps of a method on a machine, beside the same steps by equations of a paper in double precision: gradients of the
 * twins at the weights that the equations give, clipped as they say.
 */
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { dense, type Method, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { runOptimizerStep } from '../../lib/train/optimizer-step.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { type MachineName, targetsOf, withEngine } from './machines.js';
import { randomIntegers } from './random.js';
import { TwinTrainer } from './twin-trainer.js';
import { putWeights, readValues } from './whole-model.js';
import { windowOf } from './window-of.js';

/** What a paper says of the step of one parameter. */
export interface EquationContext {
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
  update(weight: Tensor, gradient: Tensor, context: EquationContext): Tensor;
}

export interface MethodRun {
  readonly method: Method;
  readonly machine: MachineName;
  readonly steps: number;
  readonly learningRate: number;
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

/** Largest difference of weights and states after the steps, each over the largest number of its tensor. */
export async function differenceFromEquations(
  { method, machine, steps, learningRate, given = [], microBatches = 1, options = {}, config }: MethodRun,
  equations: Equations,
): Promise<Readonly<Record<'losses' | 'weights' | 'states', number>>> {
  const model = llama(small, config);
  const { maxGradNorm = 0 } = options;
  const twin = new TwinTrainer(model, dense(), shape);
  const plan = compile({
    model,
    method,
    target: targetsOf(machine, [2])[0]!,
    ...shape,
    dtype: 'f32',
    entries: ['train'],
    accumulateGradients: microBatches > 1,
    ...options,
  });
  const parameters = plan.values.filter((v) => v.region === 'persistent' && v.kind === 'parameter');
  const worst = { losses: 0, weights: 0, states: 0 };
  await withEngine(machine, 2, async (engine) => {
    await engine.load(plan);
    await putWeights(engine, plan, twin.persistent, model.constants(shape.sequenceLength));
    const clock = new StepClock(method);
    const read = async (name: string): Promise<Tensor> => {
      const { shape: size } = plan.values.find((v) => v.region === 'persistent' && v.name === name)!;
      return tensor(size, await readValues(engine, plan, name));
    };
    for (let step = 1; step <= steps; step++) {
      const names = Array.from({ length: microBatches }, (_, i) => `batch ${step} ${i}`);
      const scalars = { ...clock.scalars, learningRate };
      const { variant } = clock;
      const window = windowOf(names.map(batchOf));
      const { loss } = await runOptimizerStep(engine, plan, window, scalars, { variant });
      clock.completeStep();
      const results = names.map((name) => twin.gradients(name));
      const right = results.reduce((sum, result) => sum + result.loss, 0) / microBatches;
      worst.losses = Math.max(worst.losses, Math.abs(loss - right) / right);
      const gradients = clipped(meanOf(results.map((result) => result.gradients)), maxGradNorm);
      for (const { name } of parameters) {
        const states = new Map<string, Tensor>();
        for (const state of given) {
          const isThere = plan.values.some((value) => value.name === `${name}.${state}`);
          if (isThere) states.set(state, await read(`${name}.${state}`));
        }
        const context = { name, step, learningRate, given: (state: string) => states.get(state)! };
        const weight = twin.persistent.get(name)!;
        twin.persistent.set(name, equations.update(weight, gradients.get(name)!, context));
      }
    }
    for (const { name } of parameters)
      worst.weights = Math.max(worst.weights, relative(await read(name), twin.persistent.get(name)!));
    for (const [name, state] of equations.states)
      worst.states = Math.max(worst.states, relative(await read(name), state));
  });
  return worst;
}

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

function clipped(gradients: Map<string, Tensor>, maxGradNorm: number): ReadonlyMap<string, Tensor> {
  if (maxGradNorm === 0) return gradients;
  const squares = [...gradients.values()].flatMap(({ data }) => [...data]).reduce((sum, x) => sum + x * x, 0);
  const scale = Math.min(1, maxGradNorm / (Math.sqrt(squares) + 1e-6));
  return new Map([...gradients].map(([name, g]) => [name, mapElements(g, (value) => value * scale)]));
}

function relative(found: Tensor, right: Tensor): number {
  const largest = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return largest(found.data.map((value, i) => value - right.data[i]!)) / largest(right.data);
}

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
