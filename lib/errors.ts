/**
 * Every error that the package throws, in one table. An error is told by its `code`, not by `instanceof`:
 * errors may come from another realm (worker threads, jest) or from native code.
 */

const errorKinds = {
  // Bad arguments, configuration, files: found before any work starts.
  ERR_COMPACT_ARGUMENT: RangeError,
  ERR_COMPACT_TYPE: TypeError,
  ERR_COMPACT_SHAPE: RangeError,
  ERR_COMPACT_CONFIG_UNKNOWN_KEY: TypeError,
  ERR_COMPACT_CONFIG_VALUE: RangeError,
  ERR_COMPACT_MODEL_UNKNOWN: RangeError,
  ERR_COMPACT_MODEL_READ: Error,
  ERR_COMPACT_RANK: RangeError,
  ERR_COMPACT_DATA_EMPTY: RangeError,
  ERR_COMPACT_DATA_READ: Error,
  ERR_COMPACT_DATA_BINARY: TypeError,
  ERR_COMPACT_DATA_FORMAT: TypeError,
  ERR_COMPACT_DATA_RECORD: TypeError,
  ERR_COMPACT_DATA_TOO_SHORT: RangeError,
  ERR_COMPACT_TOKENIZER: RangeError,
  ERR_COMPACT_CHAT_TEMPLATE: Error,
  ERR_COMPACT_CHECKPOINT_MISSING: Error,
  ERR_COMPACT_CHECKPOINT_TRUNCATED: Error,
  ERR_COMPACT_CHECKPOINT_INVALID: Error,
  ERR_COMPACT_CHECKPOINT_MISMATCH: Error,
  ERR_COMPACT_CHECKPOINT_VERSION: Error,
  ERR_COMPACT_CHECKPOINT_READ: Error,
  ERR_COMPACT_CHECKPOINT_WRITE: Error,
  ERR_COMPACT_OUTPUT_LOCKED: Error,
  // Jobs, and the packages and the database that a server of them needs.
  ERR_COMPACT_JOB_UNKNOWN: RangeError,
  ERR_COMPACT_JOB_STATE: Error,
  ERR_COMPACT_JOB_LOST: Error,
  ERR_COMPACT_STORE: Error,
  ERR_COMPACT_PACKAGE_MISSING: Error,
  // Devices and memory.
  ERR_COMPACT_ADDON_LOAD: Error,
  ERR_COMPACT_DEVICE_UNAVAILABLE: Error,
  ERR_COMPACT_DEVICE_LOST: Error,
  ERR_COMPACT_DOES_NOT_FIT: RangeError,
  ERR_COMPACT_OUT_OF_MEMORY: RangeError,
  // Plans and engines.
  ERR_COMPACT_PLAN_INVALID: Error,
  ERR_COMPACT_PLAN_DEVICE: Error,
  ERR_COMPACT_OP_UNSUPPORTED: Error,
  ERR_COMPACT_INDEX: RangeError,
  ERR_COMPACT_ENTRY_UNKNOWN: RangeError,
  ERR_COMPACT_VALUE_UNKNOWN: RangeError,
  ERR_COMPACT_DISPOSED: Error,
  ERR_COMPACT_ABORTED: Error,
  ERR_COMPACT_NOT_FINITE: Error,
  ERR_COMPACT_NATIVE: Error,
} as const;

/** One of `compactErrorCodes`; docs/errors.md says when each is thrown and what to do. */
export type CompactErrorCode = keyof typeof errorKinds;

/** The parts of an error beside its code: what was found, what would have been right, what to do. */
export interface CompactErrorFields {
  /** The sentence's subject, e.g. the option or op that was wrong. */
  readonly op?: string;
  readonly expected?: string;
  readonly received?: string;
  readonly remedy?: string;
  readonly device?: string;
  readonly cause?: unknown;
  /** Structured extras, e.g. predicted bytes of remedies, or the layer of a non-finite value. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * An error of this package, told by its `code`: its message is `what`, then what was expected and received, and the
 * remedy. Of the class that `code` has in the language: RangeError, TypeError or Error.
 */
export interface CompactError extends Error, Omit<CompactErrorFields, 'cause'> {
  readonly name: 'CompactError';
  readonly code: CompactErrorCode;
  /** The message without its expectation and remedy. */
  readonly what: string;
}

/** Makes (does not throw) a typed error. `what` is one sentence without a full stop. */
export function compactError(
  code: CompactErrorCode,
  what: string,
  fields: CompactErrorFields = {},
): CompactError {
  const parts = [what];
  if (fields.expected !== undefined) parts.push(`expected ${fields.expected}`);
  if (fields.received !== undefined) parts.push(`received ${fields.received}`);
  let message = parts.join('; ');
  if (fields.remedy !== undefined) message += `. ${fields.remedy}`;
  const { cause, ...rest } = fields;
  const error = new errorKinds[code](message, cause === undefined ? undefined : { cause });
  return Object.assign(error, rest, { name: 'CompactError' as const, code, what });
}

/** Whether a caught value is an error of this package, optionally of one code. */
export function isCompactError(error: unknown, code?: CompactErrorCode): error is CompactError {
  if (typeof error !== 'object' || error === null) return false;
  const found = codeOf(error);
  return (
    typeof found === 'string' && Object.hasOwn(errorKinds, found) && (code === undefined || found === code)
  );
}

/** What was thrown may be anything, and its `code` may throw in turn. */
function codeOf(thrown: object): unknown {
  try {
    return Reflect.get(thrown, 'code');
  } catch {
    return undefined;
  }
}

/** All error codes, for documentation and exit-code mapping. */
export const compactErrorCodes = Object.keys(errorKinds) as readonly CompactErrorCode[];

/** The known name nearest to a mistyped one, or undefined when none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > 64) return undefined;
  let best: string | undefined;
  // Two letters of three make another word.
  let bestDistance = Math.max(name.length > 3 ? 2 : 1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters to add, drop, replace or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwapped ? beforePrevious[j - 2]! + 1 : Infinity;
      current.push(Math.min(substitution, swap, previous[j]! + 1, current[j - 1]! + 1));
    }
    [beforePrevious, previous] = [previous, current];
  }
  return previous[b.length]!;
}
