import { type Method, methodFromDescription } from '../methods/index.js';
import type { CompileOptions } from './options.js';

/**
 * The conditions under which the published memory tables were measured, so that plans can be compared with them:
 * one projection per weight, bf16 states, a dense output projection, bf16 gradients that stay alive across the forward
 * pass because a batch is accumulated from micro-batches, and SwiGLU in two steps, so that backward keeps the 8h + 4f
 * elements per token and layer that automatic differentiation keeps.
 */
export function withAccounting(options: CompileOptions): CompileOptions {
  if (options.accounting !== 'published') return options;
  return {
    ...options,
    method: asPublished(options.method),
    gradientDtype: 'bf16',
    fuseSwiglu: false,
    accumulateGradients: true,
  };
}

function asPublished(method: Method): Method {
  const compression = method.name === 'compact' ? { sharing: 'weight', outputProjection: 'dense' } : {};
  return methodFromDescription({ ...method.describe(), stateDtype: 'bf16', ...compression });
}
