import { matmul } from '../graph/index.js';
import { checkOptions, type OptionTable } from '../options.js';
import { adamTable, adamWUpdate, epsilonOption, type AdamOptions } from './adam.js';
import { compactTable } from './compact-options.js';
import type { Method } from './method.js';

/** Epsilon is 1e-8 by default, as in PyTorch. */
export type DenseOptions = AdamOptions;

export const denseTable = {
  ...adamTable,
  epsilon: epsilonOption(1e-8),
} satisfies OptionTable<DenseOptions>;

/**
 * Plain training with AdamW (Loshchilov & Hutter 2019): layers keep their inputs, gradients are full.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example dense({ weightDecay: 0.1 })
 */
export function dense(options: DenseOptions = {}): Method {
  const adam = checkOptions(options, denseTable, { what: 'dense', remedyOf: optionOfCompact });
  return {
    name: 'dense',
    weightGradient: denseWeightGradient,
    keep: () => 'keep',
    update: (_graph, parameter, gradient, context) => adamWUpdate(parameter, gradient, context, adam),
    describe: () => ({ name: 'dense', ...adam }),
  };
}

const optionOfCompact = (key: string): string | undefined =>
  Object.hasOwn(compactTable, key)
    ? `${key} is an option of the method compact: choose that, or leave ${key} out`
    : undefined;

/** input^T outputGradient, (in_features, out_features). */
export const denseWeightGradient: Method['weightGradient'] = (
  _graph,
  { input, outputGradient },
  gradientDtype,
) =>
  matmul(input, outputGradient, {
    transposeA: true,
    dtype: gradientDtype,
    kind: 'gradient',
    name: 'weightGradient',
  });
