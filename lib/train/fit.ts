import type { CompileOptions, Plan } from '../compile/index.js';
import { compactError, isCompactError } from '../errors.js';
import type { CompactError, CompactErrorFields } from '../errors.js';
import { remedies } from '../memory/index.js';
import type { Engine } from '../runtime/index.js';

/**
 * Refuses a plan that needs more than there is, before anything is allocated.
 * @throws ERR_COMPACT_DOES_NOT_FIT with up to three remedies and their predicted bytes in `details.remedies`
 */
export function checkFits(plan: Plan, options: CompileOptions, limitBytes: number): void {
  const { peakBytes } = plan;
  if (peakBytes <= limitBytes) return;
  throw tooLarge('ERR_COMPACT_DOES_NOT_FIT', 'the plan does not fit into memory', plan, options, limitBytes, {
    op: 'memoryLimitBytes',
  });
}

/**
 * Loads a plan that was found to fit.
 * @throws ERR_COMPACT_OUT_OF_MEMORY with the same remedies, where the memory has gone to somebody else meanwhile
 */
export async function loadPlan(
  engine: Pick<Engine, 'load' | 'memoryLimitBytes'>,
  plan: Plan,
  options: CompileOptions,
): Promise<void> {
  try {
    await engine.load(plan);
  } catch (cause) {
    if (!isCompactError(cause, 'ERR_COMPACT_OUT_OF_MEMORY')) throw cause;
    const { what, op } = cause;
    throw tooLarge('ERR_COMPACT_OUT_OF_MEMORY', what, plan, options, engine.memoryLimitBytes, { op, cause });
  }
}

function tooLarge(
  code: 'ERR_COMPACT_DOES_NOT_FIT' | 'ERR_COMPACT_OUT_OF_MEMORY',
  what: string,
  { peakBytes }: Plan,
  options: CompileOptions,
  limitBytes: number,
  fields: CompactErrorFields,
): CompactError {
  const found = remedies(options, limitBytes);
  const lines = found.map(({ change, peakBytes: bytes, fits }) => {
    const words = Object.entries(change).map(([key, value]) => `${key}: ${value}`);
    return `${words.join(', ')} needs ${inMiB(bytes)}${fits ? '' : ', still too much'}`;
  });
  return compactError(code, what, {
    ...fields,
    expected: `at most ${inMiB(limitBytes)}`,
    received: `a peak of ${inMiB(peakBytes)}`,
    remedy: lines.join('\n'),
    details: { peakBytes, limitBytes, remedies: found },
  });
}

const inMiB = (bytes: number): string =>
  `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`;
