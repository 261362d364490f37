/** The small model that `bench memory` trains and `bench quality` tunes: equal for every method, batches included. */
const common = {
  model: 'llama-demo',
  data: { train: 'sotu', tokenizer: 'bytes' },
  batchSize: 8,
  sequenceLength: 256,
  lrSchedulerType: 'cosine_with_min_lr',
  warmupRatio: 0.1,
  dtype: 'f32',
  seed: 42,
} as const;

/** The demo's options but for method and learning rates. */
export const demoRecipe = (maxSteps: number) =>
  ({ ...common, maxSteps, evalSteps: Math.ceil(maxSteps / 6), evalSequences: 64 }) as const;

/** A method with its options as in a recipe, under the name that tables and ledgers give it. */
export interface DemoMethod {
  readonly variant: string;
  readonly options: {
    readonly name: string;
    readonly updateScale?: number;
    readonly [option: string]: unknown;
  };
}

/** Peak rates that mean the same for every method. */
export interface DemoRates {
  /** Of matrices, as it acts on them: a compact run's `learningRate` times its `updateScale`. */
  readonly matrixRate: number;
  /** Of embeddings, head and norms. */
  readonly otherRate: number;
}

export const denseMethod: DemoMethod = { variant: 'dense', options: { name: 'dense' } };

export const compactMethod = (rankRatio: number): DemoMethod => ({
  variant: `compact n/${Number((1 / rankRatio).toPrecision(3))}, lazy`,
  options: { name: 'compact', rankRatio, store: 'lazy', refreshInterval: 50, updateScale: 0.25 },
});

/** Everything that a loss depends on, device and threads left out. */
export const tunedRecipe = (
  { options }: DemoMethod,
  { matrixRate, otherRate }: DemoRates,
  seed: number,
  maxSteps: number,
): Readonly<Record<string, unknown>> => ({
  ...demoRecipe(maxSteps),
  seed,
  method: { ...options, seed },
  learningRate: matrixRate / (options.updateScale ?? 1),
  embeddingLearningRate: otherRate,
  headLearningRate: otherRate,
  normLearningRate: otherRate,
});
