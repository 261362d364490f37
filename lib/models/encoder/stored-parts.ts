import type { StoredParameter, WeightMap } from '../../graph/index.js';

/** A parameter that has its name in files, too. */
export const stored = (parameter: string, layout: StoredParameter['layout'] = 'same'): StoredParameter => ({
  parameter,
  tensor: parameter,
  layout,
});

/** A linear layer with its bias in files. */
export const denseWeights = (prefix: string): WeightMap => [
  stored(`${prefix}.weight`, 'transposed'),
  stored(`${prefix}.bias`),
];

/** A norm in files. */
export const normWeights = (prefix: string): WeightMap => [
  stored(`${prefix}.weight`),
  stored(`${prefix}.bias`),
];
