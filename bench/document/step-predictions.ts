/** Predicted time and planned memory of the cells that can be predicted. */
import { compile, type CompileOptions, type RecomputePolicy } from '../../lib/compile/index.js';
import { largestBatch, memoryReport, type MemoryReport } from '../../lib/memory/index.js';
import { llamaPresets } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { compileOptions } from '../../lib/cli/plan-request.js';
import type { DeviceLimits } from '../../lib/cli/bench/steps/device-limits.js';
import type { Contender, GridSize } from './grid.js';
import { ownMethod, type OwnMethod } from '../own-method.js';
import { aimed, compiled, stepMs, type StepMethod } from './predictions.js';

/** Undefined for programs whose time follows from no simple model. */
export function predictedStepMs(
  size: GridSize,
  contender: Contender,
  limits: DeviceLimits,
): number | undefined {
  const shape = { ...size, model: llamaPresets[size.model] };
  const { program, method, rankRatio, store, recompute, blas } = contender;
  if (blas !== undefined) return undefined;
  if (method !== undefined) {
    const rebuilds = store === 'lazy' || recompute === 'cheap';
    return stepMs(shape, { method, rankRatio, rebuilds }, limits, aimed);
  }
  const peers: Readonly<Record<string, StepMethod>> = {
    dense: { method: 'dense' },
    'dense-budget': { method: 'dense', rebuilds: true },
    'dense-checkpoint': { method: 'dense', checkpoints: true },
  };
  const peer = peers[program!];
  return peer && stepMs(shape, peer, limits, compiled);
}

/**
 * What our own methods allocate, and what the exact peers need at least: our dense plan of the same tensors, with bf16
 * gradients that live until the optimizer's step. Planned for the CPU backend with one thread: workspaces of GPUs are
 * larger by a projection panel. Undefined for what no plan of ours stands for.
 */
function planOptions(
  size: GridSize,
  { program, method, rankRatio, store, recompute, blas }: Contender,
  stateFormat: 'bf16' | 'f32',
): CompileOptions | undefined {
  if (blas !== undefined) return undefined;
  const target = cpuTarget({ threads: 1 });
  const request = (own: Omit<OwnMethod, 'stateFormat'>, policy: RecomputePolicy | undefined) => {
    const shape = { ...size, dtype: 'bf16', accounting: 'ours' } as const;
    return compileOptions(
      { ...shape, method: ownMethod({ ...own, stateFormat }), recompute: policy },
      target,
    );
  };
  if (method !== undefined) return request({ method, rankRatio, store }, recompute);
  const recomputes = { dense: 'none', 'dense-budget': 'cheap', 'dense-checkpoint': 'layer' } as const;
  if (!Object.hasOwn(recomputes, program!)) return undefined;
  const policy = recomputes[program as keyof typeof recomputes];
  const options = request({ method: 'dense' }, policy);
  return { ...options, gradientDtype: 'bf16', updatePlacement: 'end' };
}

/** Kept for equal words: a page asks for most sizes several times, and a search makes a dozen plans. */
const reports = new Map<string, MemoryReport | undefined>();
const batches = new Map<string, number | undefined>();

export function plannedPeak(
  size: GridSize,
  contender: Contender,
  stateFormat: 'bf16' | 'f32' = 'bf16',
): MemoryReport | undefined {
  const key = JSON.stringify([size.model, size.batch, size.sequence, contender, stateFormat]);
  if (!reports.has(key)) {
    const options = planOptions(size, contender, stateFormat);
    reports.set(key, options && memoryReport(compile(options)));
  }
  return reports.get(key);
}

/** Of a contender whose plan is known, with the largest batch that fits into so many bytes. */
export function predictedTokensPerSecond(
  size: Omit<GridSize, 'batch'>,
  contender: Contender,
  capBytes: number,
  limits: DeviceLimits,
): number | undefined {
  const key = JSON.stringify([size.model, size.sequence, contender, capBytes]);
  if (!batches.has(key)) {
    const options = planOptions({ ...size, batch: 1 }, contender, 'bf16');
    batches.set(key, options && largestBatch(options, capBytes)?.batchSize);
  }
  const batch = batches.get(key);
  if (batch === undefined) return undefined;
  const ms = predictedStepMs({ ...size, batch }, contender, limits);
  return ms === undefined ? undefined : (1000 * batch * size.sequence) / ms;
}
