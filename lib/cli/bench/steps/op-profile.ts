import type { Plan, PlanInstruction, PlanValue } from '../../../compile/index.js';
import type { Phase } from '../../../graph/index.js';
import type { DeviceLimits } from './device-limits.js';
import type { StepTimes } from './step-runner.js';

/** What operations of a step take, and what they do in that time. */
interface Work {
  readonly ms: number;
  /** Share of the time of all operations. */
  readonly share: number;
  readonly flops: number;
  /** Each operand once: what must at least travel between memory and processor. */
  readonly bytes: number;
  /** The least time that the device's limits allow, as a share of the time taken; undefined without limits. */
  readonly ofLimit: number | undefined;
}

/** One operation in one phase of a step, all its calls together. */
export interface OpProfileRow extends Work {
  readonly op: string;
  readonly phase: Phase;
  readonly calls: number;
}

/** One instruction of the plan. */
export interface InstructionProfile extends Work {
  readonly op: string;
  readonly phase: Phase;
  readonly layer: string;
}

export interface StepProfile {
  /** Longest first. */
  readonly operations: readonly OpProfileRow[];
  /** In the order of the plan. */
  readonly instructions: readonly InstructionProfile[];
  readonly total: Work;
  /** Mean of the profiled steps, from the first input to the end of the last operation. */
  readonly stepMs: number;
  /** Share of the step that is time of operations; the rest is input and output, and starting them. */
  readonly explained: number;
}

/** Sums what was measured of the entry `step` by instruction and by operation. */
export function opProfile(
  plan: Plan,
  times: Pick<StepTimes, 'msPerStep' | 'profileUs'>,
  limits: DeviceLimits | undefined,
): StepProfile {
  const { instructions } = plan.entries['step']!;
  const profileUs = times.profileUs!;
  const totalMs = profileUs.reduce((sum, us) => sum + us / 1000, 0);
  const measured = instructions.map((instruction, index) => {
    const { op, phase, layer, flops } = instruction;
    const bytes = bytesMoved(instruction, plan.values);
    const ms = profileUs[index]! / 1000;
    return {
      op,
      phase,
      layer,
      flops,
      bytes,
      ms,
      leastMs: leastMs(instruction, bytes, plan, limits),
    };
  });
  const work = (parts: readonly (typeof measured)[number][]): Work => {
    const sum = (of: (part: (typeof measured)[number]) => number): number =>
      parts.reduce((total, part) => total + of(part), 0);
    const ms = sum((part) => part.ms);
    return {
      ms,
      share: ms / totalMs,
      flops: sum(({ flops }) => flops),
      bytes: sum(({ bytes }) => bytes),
      ofLimit: limits && sum((part) => part.leastMs) / ms,
    };
  };
  const groups = new Map<string, (typeof measured)[number][]>();
  for (const part of measured) {
    const key = `${part.op} ${part.phase}`;
    groups.set(key, [...(groups.get(key) ?? []), part]);
  }
  const stepMs = times.msPerStep.reduce((a, b) => a + b, 0) / times.msPerStep.length;
  return {
    operations: [...groups.values()]
      .map((parts) => ({ op: parts[0]!.op, phase: parts[0]!.phase, calls: parts.length, ...work(parts) }))
      .toSorted((a, b) => b.ms - a.ms),
    instructions: measured.map((part) => ({
      op: part.op,
      phase: part.phase,
      layer: part.layer,
      ...work([part]),
    })),
    total: work(measured),
    stepMs,
    explained: totalMs / stepMs,
  };
}

/** Operations that read as many elements of this input as they write, however large it is. */
const gathers: Readonly<Record<string, number>> = { embedding: 0, selectRow: 0 };

function bytesMoved({ op, inputs, outputs }: PlanInstruction, values: readonly PlanValue[]): number {
  const bytesOf = (id: number): number => (id < 0 ? 0 : values[id]!.bytes);
  const written = outputs.reduce((sum, id) => sum + bytesOf(id), 0);
  return inputs.reduce((sum, id, i) => sum + (gathers[op] === i ? written : bytesOf(id)), written);
}

/** The time of the arithmetic or of the traffic, whichever is longer, at the device's limits. */
function leastMs(
  { flops, inputs }: PlanInstruction,
  bytes: number,
  { values }: Plan,
  limits: DeviceLimits | undefined,
): number {
  if (limits === undefined) return 0;
  const isBf16 = inputs.some((id) => id >= 0 && values[id]!.dtype === 'bf16');
  const rate = limits.flopsPerSecond[isBf16 ? 'bf16' : 'f32'];
  return 1000 * Math.max(flops / rate, bytes / limits.bytesPerSecond);
}
