import type { CompileOptions, Plan } from '../compile/index.js';
import { compactError } from '../errors.js';
import { remedies } from '../memory/index.js';

/**
 * Refuses a plan that needs more than there is, before anything is allocated.
 * @throws ERR_COMPACT_DOES_NOT_FIT with up to three remedies and their predicted bytes in `details.remedies`
 */
export function checkFits(plan: Plan, options: CompileOptions, limitBytes: number): void {
  const { peakBytes } = plan;
  if (peakBytes <= limitBytes) return;
  const found = remedies(options, limitBytes);
  const lines = found.map(({ change, peakBytes: bytes, fits }) => {
    const words = Object.entries(change).map(([key, value]) => `${key}: ${value}`);
    return `${words.join(', ')} needs ${inMiB(bytes)}${fits ? '' : ', still too much'}`;
  });
  throw compactError('ERR_COMPACT_DOES_NOT_FIT', 'the plan does not fit into memory', {
    op: 'memoryLimitBytes',
    expected: `at most ${inMiB(limitBytes)}`,
    received: `a peak of ${inMiB(peakBytes)}`,
    remedy: lines.join('\n'),
    details: { peakBytes, limitBytes, remedies: found },
  });
}

const inMiB = (bytes: number): string =>
  `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`;
