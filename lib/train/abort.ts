import { compactError } from '../errors.js';

/** @throws ERR_COMPACT_ABORTED when the signal has been given */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw compactError('ERR_COMPACT_ABORTED', 'the start of the run was aborted', { cause: signal.reason });
}
