import type { CompileOptions, Plan } from '../compile/index.js';
import { compactError } from '../errors.js';
import { remedies, type Remedy as MemoryRemedy } from '../memory/index.js';

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
  const found = remedies(options, limitBytes).map((remedy): Remedy => ({
    ...remedy,
    change: inWords(remedy.change),
  }));
  throw compactError('ERR_COMPACT_DOES_NOT_FIT', 'the plan does not fit into memory', {
    op: 'memoryLimitBytes',
    expected: `at most ${inGiB(limitBytes)}`,
    received: inGiB(plan.peakBytes),
    remedy: found
      .map(
        ({ change, peakBytes, fits }) => `${change}: ${inGiB(peakBytes)}${fits ? '' : ' (still too much)'}`,
      )
      .join('; '),
    details: { peakBytes: plan.peakBytes, limitBytes, remedies: found },
  });
}

/** The options of a remedy as one would write them. */
function inWords(change: MemoryRemedy['change']): string {
  return Object.entries(change)
    .map(([name, value]) => {
      if (name === 'gradientAccumulationSteps') return `${value} times the gradientAccumulationSteps`;
      return `${name}: ${typeof value === 'string' ? `'${value}'` : value}`;
    })
    .join(', ');
}

const inGiB = (bytes: number): string =>
  bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
