import { matmul } from '../graph/index.js';
import {
  adamDefaults,
  adamKeys,
  adamWUpdate,
  checkAdamOptions,
  type AdamOptions,
  type ResolvedAdamOptions,
} from './adam.js';
import type { Method } from './method.js';
import { requireKnownKeys, withDefaults } from './options.js';

/** Epsilon is 1e-8 by default, as in PyTorch. */
export type DenseOptions = AdamOptions;

/**
 * Plain training with AdamW (Loshchilov & Hutter 2019): layers keep their inputs, gradients are full.
 * @throws ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example dense({ weightDecay: 0.1 })
 */
export function dense(options: DenseOptions = {}): Method {
  requireKnownKeys('dense', options, adamKeys);
  const adam: ResolvedAdamOptions = withDefaults(options, { ...adamDefaults, epsilon: 1e-8 });
  checkAdamOptions(adam);
  return {
    name: 'dense',
    weightGradient: denseWeightGradient,
    keep: () => 'keep',
    update: (_graph, parameter, gradient, context) => adamWUpdate(parameter, gradient, context, adam),
    describe: () => ({ name: 'dense', ...adam }),
  };
}

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
