import { roleRates, type RoleRate } from '../../../graph/index.js';
import { methodFromDescription } from '../../../methods/index.js';

/** What is trained, and on how much of the text at a time. */
export interface DemoSize {
  /** A preset, or options of a model as in a recipe. */
  readonly model: string | Readonly<Record<string, unknown>>;
  readonly batchSize: number;
  readonly sequenceLength: number;
  /** Micro-batches of a step. Absent: one. */
  readonly gradientAccumulationSteps?: number;
  /** As in a recipe. Absent: the bundled text, as bytes. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** Default 'f32'. */
  readonly dtype?: 'f32' | 'bf16';
}

/** The small model that `bench memory` trains and `bench quality` tunes, unless it is told another. */
export const demoSize = { model: 'llama-demo', batchSize: 8, sequenceLength: 256 } as const;

/** Equal for every method, batches included. */
const common = {
  data: { train: 'sotu', tokenizer: 'bytes' },
  lrSchedulerType: 'cosine_with_min_lr',
  warmupRatio: 0.1,
  dtype: 'f32',
  seed: 42,
} as const;

/** A run's options but for method and learning rates. */
export const demoRecipe = <Size extends DemoSize>(maxSteps: number, size: Size) => ({
  ...common,
  ...size,
  maxSteps,
  evalSteps: Math.ceil(maxSteps / 6),
  evalSequences: 64,
});

/** A method with its options as in a recipe, under the name that tables and ledgers give it. */
export interface DemoMethod {
  readonly variant: string;
  readonly options: Readonly<Record<string, unknown>> & { readonly name: string };
  /** Rates of roles that the method has a use for. Absent: all. */
  readonly roles?: readonly RoleRate[];
}

/** Peak rates that mean the same for every method. */
export interface DemoRates {
  /** Of matrices, as it acts on them: a run's `learningRate` times the `updateScale` of its method. */
  readonly matrixRate: number;
  /** Of embeddings, head and norms. Absent where they are frozen. */
  readonly otherRate?: number;
}

export const denseMethod: DemoMethod = { variant: 'dense', options: { name: 'dense' } };

export const compactMethod = (rankRatio: number): DemoMethod => ({
  variant: `compact n/${Number((1 / rankRatio).toPrecision(3))}, lazy`,
  options: { name: 'compact', rankRatio, store: 'lazy', refreshInterval: 50, updateScale: 0.25 },
});

/** Everything that a loss depends on, device and threads left out. */
export function tunedRecipe(
  { options, roles = roleRates }: DemoMethod,
  { matrixRate, otherRate }: DemoRates,
  seed: number,
  maxSteps: number,
  size: DemoSize = demoSize,
): Readonly<Record<string, unknown>> {
  const { updateScale = 1 } = methodFromDescription(options).describe() as { updateScale?: number };
  return {
    ...demoRecipe(maxSteps, size),
    seed,
    method: { ...options, seed },
    learningRate: matrixRate / updateScale,
    ...(otherRate === undefined ? {} : Object.fromEntries(roles.map((role) => [role, otherRate]))),
  };
}
