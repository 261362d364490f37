import type { PlanInstruction } from '../../compile/index.js';
import type { Phase } from '../../graph/index.js';

/** Time of one operation in one phase of a step, all its calls together. */
export interface OpProfileRow {
  readonly op: string;
  readonly phase: Phase;
  readonly calls: number;
  readonly ms: number;
  readonly flops: number;
  readonly share: number; // of the step
}

/** Sums the time of each instruction by operation and phase; longest first. */
export function opProfile(
  instructions: readonly PlanInstruction[],
  profileUs: readonly number[],
): OpProfileRow[] {
  const total = profileUs.reduce((a, b) => a + b, 0);
  const rows = new Map<string, OpProfileRow>();
  instructions.forEach(({ op, phase, flops }, index) => {
    const key = `${op} ${phase}`;
    const row = rows.get(key) ?? { op, phase, calls: 0, ms: 0, flops: 0, share: 0 };
    const us = profileUs[index]!;
    rows.set(key, {
      ...row,
      calls: row.calls + 1,
      ms: row.ms + us / 1000,
      flops: row.flops + flops,
      share: row.share + us / total,
    });
  });
  return [...rows.values()].sort((a, b) => b.ms - a.ms);
}
