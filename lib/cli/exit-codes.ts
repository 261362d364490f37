import { isCompactError, type CompactErrorCode } from '../errors.js';

/** What the shell gets; documented in `compact-train --help`. */
export const exitCodes = { done: 0, failed: 1, usage: 2, doesNotFit: 3, interrupted: 130 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Codes whose cause is the machine or the program. Every other code is something the caller can put right: usage. */
const others: Partial<Record<CompactErrorCode, ExitCode>> = {
  ERR_COMPACT_DOES_NOT_FIT: exitCodes.doesNotFit,
  ERR_COMPACT_OUT_OF_MEMORY: exitCodes.doesNotFit,
  ERR_COMPACT_ABORTED: exitCodes.interrupted,
  ERR_COMPACT_DEVICE_LOST: exitCodes.failed,
  ERR_COMPACT_CHECKPOINT_READ: exitCodes.failed,
  ERR_COMPACT_CHECKPOINT_WRITE: exitCodes.failed,
  ERR_COMPACT_JOB_LOST: exitCodes.failed,
  ERR_COMPACT_STORE: exitCodes.failed,
  ERR_COMPACT_ADDON_LOAD: exitCodes.failed,
  ERR_COMPACT_PLAN_INVALID: exitCodes.failed,
  ERR_COMPACT_PLAN_DEVICE: exitCodes.failed,
  ERR_COMPACT_OP_UNSUPPORTED: exitCodes.failed,
  ERR_COMPACT_INDEX: exitCodes.failed,
  ERR_COMPACT_ENTRY_UNKNOWN: exitCodes.failed,
  ERR_COMPACT_VALUE_UNKNOWN: exitCodes.failed,
  ERR_COMPACT_DISPOSED: exitCodes.failed,
  ERR_COMPACT_NOT_FINITE: exitCodes.failed,
  ERR_COMPACT_NATIVE: exitCodes.failed,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (!isCompactError(error)) return exitCodes.failed;
  return others[error.code] ?? exitCodes.usage;
}
