import type { CompileOptions, RecomputePolicy } from '../compile/index.js';
import { compact, dense, methodCatalogue, type MethodOptions, type StateFormat } from '../methods/index.js';
import { describeMethod } from './describe-method.js';

/** One way of training a model, to be planned beside others. */
export interface PlanVariant {
  /** In a few words, e.g. 'compact n/4, lazy'. */
  readonly name: string;
  readonly options: CompileOptions;
}

/** What everybody runs, and what costs next to nothing more: every comparison has both. */
export const baselines = (options: CompileOptions): PlanVariant[] => [
  denseVariant(options, 'none'),
  denseVariant(options, 'cheap'),
];

/** The methods that are compared: from what everybody runs to what holds least. */
export function alternatives(options: CompileOptions): PlanVariant[] {
  const compactVariant = (store: 'stored' | 'lazy', recompute: RecomputePolicy): PlanVariant =>
    variant({
      ...options,
      recompute,
      method: compact({
        ...optimizerOf(options),
        ...rankOf(options),
        stateFormat: stateFormat(options),
        store,
      }),
    });
  return [
    ...baselines(options),
    denseVariant(options, 'layer'),
    compactVariant('stored', 'none'),
    compactVariant('lazy', 'none'),
    compactVariant('lazy', 'layer'),
  ];
}

export const variant = (options: CompileOptions): PlanVariant => ({
  name: describeMethod(options.method, options.recompute),
  options,
});

const denseVariant = (options: CompileOptions, recompute: RecomputePolicy): PlanVariant =>
  variant({ ...options, recompute, method: dense({ stateFormat: stateFormat(options) }) });

const stateFormat = ({ method }: CompileOptions): StateFormat | undefined =>
  method.describe()['stateFormat'] as StateFormat | undefined;

/** The optimizer that was asked for, with its settings, where compact takes it; AdamW else. */
function optimizerOf({ method }: CompileOptions): MethodOptions {
  const { methods, optimizers } = methodCatalogue();
  const described = method.describe();
  const optimizer = optimizers.find(({ name }) => name === described['optimizer']);
  const taken = methods.find(({ name }) => name === 'compact')!.composesWith;
  if (optimizer === undefined || !taken.includes(optimizer.name)) return {};
  const keys = ['optimizer', ...optimizer.options.map(({ name }) => name)];
  return Object.fromEntries(keys.map((key) => [key, described[key]]));
}

/** The rank that was asked for, else a quarter. */
function rankOf({ method }: CompileOptions): { rank: number } | { rankRatio: number } {
  const { rank, rankRatio } = method.describe() as { rank?: number; rankRatio?: number };
  return rank === undefined ? { rankRatio: rankRatio ?? 0.25 } : { rank };
}
