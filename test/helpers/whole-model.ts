/** The recorded model of test/fixtures/tiny-llama.*, run by whatever can run a plan. */
import { compile, type CompileOptions, type Plan, type Target } from '../../lib/compile/index.js';
import type { Batch } from '../../lib/data/index.js';
import type { RoleRate } from '../../lib/graph/index.js';
import {
  compact,
  type CompactOptions,
  dense,
  type DenseOptions,
  type Method,
  StepClock,
} from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import type { Engine, HostArray } from '../../lib/runtime/index.js';
import { runOptimizerStep } from '../../lib/train/schedule/optimizer-step.js';
import { readJson, readTensors } from './fixtures.js';
import type { Tensor } from '../reference/index.js';
import { transposed } from '../reference/product.js';
import { elementArrays, elementBytes, load, store } from './storage.js';
import { windowOf } from './window-of.js';

export type Machine = Pick<Engine, 'run' | 'read' | 'write'>;

type MethodOptions = ({ name: 'dense' } & DenseOptions) | ({ name: 'compact' } & CompactOptions);

export interface RecordedRun {
  readonly name: string;
  readonly method: MethodOptions;
  readonly microBatches: number;
  readonly maxGradNorm: number;
  readonly learningRates: readonly number[];
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
  /** Of every parameter after the last step. */
  readonly sumsAndNorms: Readonly<Record<string, readonly [number, number]>>;
  /** Largest difference of the same program in float32. */
  readonly naiveErrors: Readonly<Record<'losses' | 'gradientNorms' | 'sumsAndNorms', number>>;
}

interface TinyLlama {
  readonly config: LlamaConfig;
  readonly sequences: number;
  readonly positions: number;
  readonly batches: readonly { readonly tokens: number[]; readonly targets: number[] }[];
  readonly gradients: Readonly<
    Record<
      'untied' | 'tied',
      { loss: number; naiveLossError: number; naiveErrors: Readonly<Record<string, number>> }
    >
  >;
  readonly runs: readonly RecordedRun[];
}

export const tinyLlama = readJson('tiny-llama.json') as TinyLlama;
/** The program that recorded them holds a head as (hidden, vocabulary). */
export const tinyTensors: ReadonlyMap<string, Tensor> = new Map(
  [...readTensors('tiny-llama.safetensors')].map(([name, recorded]) => [
    name,
    name.endsWith('lm_head.weight') ? transposed(recorded) : recorded,
  ]),
);

export const batches = tinyLlama.batches.map(({ tokens, targets }) => ({
  inputs: { tokens: Int32Array.from(tokens), targets: Int32Array.from(targets) },
  numCountedTokens: targets.filter((target) => target !== -100).length,
}));

export function methodOf({ name, ...options }: MethodOptions): Method {
  return name === 'dense' ? dense(options) : compact(options);
}

export function tinyPlan(
  method: Method,
  target: Target,
  options: Partial<CompileOptions> = {},
  config: Partial<LlamaConfig> = {},
): Plan {
  return compile({
    model: tinyModel(config),
    method,
    target,
    batchSize: tinyLlama.sequences,
    sequenceLength: tinyLlama.positions,
    dtype: 'f32',
    lossChunkTokens: 16,
    ...options,
  });
}

export const tinyModel = (config: Partial<LlamaConfig> = {}) => llama(tinyLlama.config, config);

/** Writes given weights into the plan's parameters, and the model's constant tables. */
export async function putWeights(
  machine: Machine,
  plan: Plan,
  weights: ReadonlyMap<string, Tensor>,
  constants: Readonly<Record<string, Float32Array | Int32Array>>,
): Promise<void> {
  for (const { name, kind, region, dtype, bytes } of plan.values) {
    if (region !== 'persistent') continue;
    if (constants[name]) await machine.write(name, constants[name]);
    if (kind !== 'parameter') continue;
    const memory = new Uint8Array(bytes);
    store(memory, 0, weights.get(name)!.data, dtype);
    await machine.write(name, new elementArrays[dtype](memory.buffer));
  }
}

export async function startTiny(machine: Machine, plan: Plan): Promise<void> {
  await putWeights(machine, plan, tinyTensors, tinyModel().constants(tinyLlama.positions));
}

/** Values of a persistent tensor as doubles. */
export async function readValues(machine: Machine, plan: Plan, name: string): Promise<Float64Array> {
  const { dtype, bytes } = plan.values.find((value) => value.region === 'persistent' && value.name === name)!;
  const data = await machine.read(name);
  return load(new Uint8Array(data.buffer, data.byteOffset, bytes), 0, bytes / elementBytes[dtype], dtype);
}

/** Logits behind each of some tokens, read one after the other. */
export async function logitsOfTokens(
  machine: Pick<Machine, 'run'>,
  tokens: readonly number[],
): Promise<HostArray[]> {
  const found: HostArray[] = [];
  for (const [position, token] of tokens.entries()) {
    const inputs = { tokens: Int32Array.of(token), positions: Int32Array.of(position) };
    found.push((await machine.run('generate', { inputs })).outputs['logits']!);
  }
  return found;
}

export const parameterNames = (plan: Plan): string[] =>
  plan.values
    .filter(({ kind, region }) => kind === 'parameter' && region === 'persistent')
    .map(({ name }) => name);

/** How long a run is, and at what rates it learns. */
export interface TrainingSteps extends Pick<RecordedRun, 'microBatches' | 'learningRates'> {
  readonly roleRates?: Readonly<Partial<Record<RoleRate, number>>>;
}

/** What a model reads, of whatever types. */
export interface TrainingBatch extends Pick<Batch, 'numCountedTokens'> {
  readonly inputs: Readonly<Record<string, HostArray>>;
}

export interface TrainingResult {
  readonly losses: readonly number[];
  readonly gradientNorms: readonly (number | undefined)[];
}

/** The steps of a recorded run, from weights that are in place already. */
export async function trainTiny(
  machine: Machine,
  plan: Plan,
  method: Method,
  { microBatches, learningRates, roleRates }: TrainingSteps,
  data: readonly TrainingBatch[] = batches,
): Promise<TrainingResult> {
  const clock = new StepClock(method);
  const losses: number[] = [];
  const gradientNorms: (number | undefined)[] = [];
  for (const [step, learningRate] of learningRates.entries()) {
    const window = windowOf(data.slice(step * microBatches, (step + 1) * microBatches) as readonly Batch[]);
    const scalars = {
      ...clock.scalars,
      learningRate: clock.learningRateFactor * learningRate,
      ...roleRates,
    };
    const { variant } = clock;
    const result = await runOptimizerStep(machine, plan, window, scalars, { variant });
    losses.push(result.loss);
    gradientNorms.push(result.gradNorm);
    for (const entry of clock.completeStep()?.entries ?? [])
      await machine.run(entry, { scalars: clock.scalars });
  }
  return { losses, gradientNorms };
}

/** Largest difference of two lists, element by element. */
export const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce(
    (worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)),
    a.length === b.length ? 0 : NaN,
  );
