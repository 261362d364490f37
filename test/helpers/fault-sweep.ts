/** Which calls of a run a fault is tried at: every so many in the suite, each of them with FAULT_STRIDE=1. */
const stride = Number(process.env['FAULT_STRIDE'] ?? 53);

export const isWholeSweep = stride === 1;

/** Kinds of faults begin at different calls, so that they see more of them together. */
export const callsToTry = (numCalls: number, kind: number): number[] =>
  Array.from({ length: numCalls }, (_, call) => call).filter((call) => call % stride === (kind * 5) % stride);

/** A line that is written over while a whole sweep goes on; without numbers one that stays. */
export function tellProgress(what: string, done?: number, all?: number): void {
  if (!isWholeSweep) return;
  process.stderr.write(done === undefined ? `\r${what}\n` : `\r${what}: ${done} of ${all} `);
}
