import { matmul } from '../../graph/index.js';
import type { GradientSpace } from './gradient-space.js';

/** Gradients as they are: layers keep their inputs. */
export const full: GradientSpace = {
  /** input^T outputGradient, (in_features, out_features). */
  weightGradient: (_graph, { input, outputGradient }, gradientDtype) =>
    matmul(input, outputGradient, {
      transposeA: true,
      dtype: gradientDtype,
      kind: 'gradient',
      name: 'weightGradient',
    }),
  update: (parameter, gradient, context, optimizer) => optimizer.update(parameter, gradient, context),
};
