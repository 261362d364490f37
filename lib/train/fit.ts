import { compile } from '../compile/index.js';
import type { CompileOptions, Plan } from '../compile/index.js';
import { compactError } from '../errors.js';
import { compact } from '../methods/index.js';

/** A change of options and the bytes that it would need. */
export interface Remedy {
  readonly change: string;
  readonly peakBytes: number;
  readonly fits: boolean;
}

/**
 * Refuses a plan that needs more than there is, before anything is allocated.
 * @throws ERR_COMPACT_DOES_NOT_FIT with up to three remedies and their predicted bytes in `details.remedies`
 */
export function checkFits(plan: Plan, options: CompileOptions, limitBytes: number): void {
  if (plan.peakBytes <= limitBytes) return;
  const remedies = findRemedies(options, limitBytes);
  throw compactError('ERR_COMPACT_DOES_NOT_FIT', 'the plan does not fit into memory', {
    op: 'memoryLimitBytes',
    expected: `at most ${inGiB(limitBytes)}`,
    received: inGiB(plan.peakBytes),
    remedy: remedies
      .map(
        ({ change, peakBytes, fits }) => `${change}: ${inGiB(peakBytes)}${fits ? '' : ' (still too much)'}`,
      )
      .join('; '),
    details: { peakBytes: plan.peakBytes, limitBytes, remedies },
  });
}

/** The three changes that cost least among those that fit; where fewer fit, the smallest of the others. */
function findRemedies(options: CompileOptions, limitBytes: number): readonly Remedy[] {
  const remedies = candidates(options).map(([change, changed]): Remedy => {
    const { peakBytes } = compile({ ...options, ...changed });
    return { change, peakBytes, fits: peakBytes <= limitBytes };
  });
  const fitting = remedies.filter(({ fits }) => fits);
  const others = remedies.filter(({ fits }) => !fits).sort((a, b) => a.peakBytes - b.peakBytes);
  return [...fitting, ...others].slice(0, 3);
}

/** Changes from the cheapest for speed and quality to the dearest. */
function candidates(options: CompileOptions): readonly (readonly [string, Partial<CompileOptions>])[] {
  const { batchSize, recompute = 'none', dtype, method } = options;
  const list: [string, Partial<CompileOptions>][] = [];
  if (recompute === 'none') list.push(["recompute: 'cheap'", { recompute: 'cheap' }]);
  for (const divisor of [2, 8]) {
    const smaller = Math.max(1, Math.floor(batchSize / divisor));
    if (smaller < batchSize)
      list.push([
        `batchSize: ${smaller} with ${Math.ceil(batchSize / smaller)} times the gradientAccumulationSteps`,
        { batchSize: smaller, accumulateGradients: true },
      ]);
  }
  if (recompute !== 'layer') list.push(["recompute: 'layer'", { recompute: 'layer' }]);
  if (method.name === 'dense')
    list.push(['method: compact, rankRatio 0.25', { method: compact({ rankRatio: 0.25 }) }]);
  if (dtype === 'f32') list.push(["dtype: 'bf16'", { dtype: 'bf16' }]);
  list.push([
    "dtype: 'bf16', batchSize: 1, recompute: 'layer', method: compact, rankRatio 0.125",
    { dtype: 'bf16', batchSize: 1, recompute: 'layer', method: compact({ rankRatio: 0.125 }) },
  ]);
  return list;
}

const inGiB = (bytes: number): string =>
  bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
