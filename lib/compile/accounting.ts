import type { CompileOptions } from './options.js';

/**
 * The conditions under which the published memory tables were measured, so that plans can be compared with them: what
 * the method says of its own, bf16 gradients that stay alive across the forward pass because a batch is accumulated from
 * micro-batches where the method can, and SwiGLU in two steps, so that backward keeps the 8h + 4f elements per token and layer that automatic
 * differentiation keeps.
 */
export function withAccounting(options: CompileOptions): CompileOptions {
  if (options.accounting !== 'published') return options;
  return {
    ...options,
    method: options.method.published?.() ?? options.method,
    gradientDtype: 'bf16',
    fuseSwiglu: false,
    accumulateGradients: options.method.updatesInBackward !== true,
  };
}
