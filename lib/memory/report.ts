import { type Plan, type PlanEntry, type PlanValue, workspaceSpans } from '../compile/index.js';
import { checkedPlan } from '../compile/plan-schema.js';
import { type ValueKind, valueKinds } from '../graph/index.js';
import { type MemoryTimeline, entryTimeline } from './timeline.js';

/** Bytes by what they are for; `unused` is alignment and gaps, so that the sum is exact. */
export type BytesByKind = Readonly<Record<ValueKind | 'unused', number>>;

/** One tensor or workspace that stands at the peak. */
export interface HeldBytes {
  readonly name: string;
  readonly layer: string;
  readonly kind: ValueKind;
  readonly bytes: number;
}

/** Where in the plan the arena is fullest. */
export interface PeakMoment {
  readonly entry: string;
  /** Index of the instruction in its entry. */
  readonly instruction: number;
  readonly op: string;
  readonly layer: string;
}

/** Bytes of a plan by kind, and what stands at its peak. */
export interface MemoryReport {
  /** persistentBytes + arenaBytes: what an engine allocates. */
  readonly peakBytes: number;
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  /** Largest sum of arena bytes in use at one moment: no layout can need less. */
  readonly arenaLowerBoundBytes: number;
  /** Undefined when no entry needs any arena. */
  readonly peak: PeakMoment | undefined;
  /** At the peak moment, persistent values included; sums to peakBytes. */
  readonly byKind: BytesByKind;
  /** Alignment and gaps: byKind.unused. */
  readonly unusedBytes: number;
  /** The same bytes by the layer that made them; `model` for what belongs to no layer. Sums to peakBytes - unusedBytes. */
  readonly byLayer: Readonly<Record<string, number>>;
  /** All that is held at the peak moment, largest first. */
  readonly atPeak: readonly HeldBytes[];
  /** Arena bytes by kind at each instruction, of every entry. */
  readonly timeline: Readonly<Record<string, MemoryTimeline>>;
}

/**
 * Says who holds which bytes when. Everything follows from the plan, so it is known before anything is allocated.
 * @throws ERR_COMPACT_PLAN_INVALID
 * @example memoryReport(plan).byKind.optimizerState
 */
export function memoryReport(given: Plan): MemoryReport {
  const plan = checkedPlan(given);
  const { peakBytes, persistentBytes, arenaBytes, arenaLowerBoundBytes } = plan;
  const entries = Object.values(plan.entries);
  const largest = entries.reduce<PlanEntry | undefined>(
    (found, entry) => (entry.arenaBytes > (found?.arenaBytes ?? 0) ? entry : found),
    undefined,
  );
  const timeline = Object.fromEntries(entries.map((entry) => [entry.name, entryTimeline(plan, entry)]));
  const moment = largest && fullestMoment(timeline[largest.name]!);
  const held = plan.values.filter(({ region }) => region === 'persistent').map(heldValue);
  if (largest !== undefined) held.push(...heldInArena(plan, largest, moment!));
  const used = held.reduce((sum, { bytes }) => sum + bytes, 0);
  const byKind = sumBy(held, ({ kind }) => kind);
  const kinds = Object.fromEntries(valueKinds.map((kind) => [kind, byKind[kind] ?? 0]));
  const unusedBytes = peakBytes - used;
  return {
    peakBytes,
    persistentBytes,
    arenaBytes,
    arenaLowerBoundBytes,
    peak: largest && momentOf(largest, moment!),
    byKind: { ...(kinds as Record<ValueKind, number>), unused: unusedBytes },
    unusedBytes,
    byLayer: sumBy(held, ({ layer }) => layer || 'model'),
    atPeak: held.toSorted((a, b) => b.bytes - a.bytes),
    timeline,
  };
}

function heldValue({ name, layer, kind, bytes }: PlanValue): HeldBytes {
  return { name, layer, kind, bytes };
}

function heldInArena(plan: Plan, entry: PlanEntry, moment: number): HeldBytes[] {
  const held = entry.lifetimes
    .filter(({ first, last }) => first <= moment && moment <= last)
    .map(({ value }) => heldValue(plan.values[value]!));
  const spans = workspaceSpans(entry.instructions);
  for (const [index, { op, layer, workspace }] of entry.instructions.entries()) {
    const { first, last } = spans[index]!;
    if (first > moment || last < moment) continue;
    const { kind, bytes } = workspace;
    if (bytes > 0) held.push({ name: `${layer}/${op}.workspace`, layer, kind, bytes });
  }
  return held;
}

function momentOf(entry: PlanEntry, instruction: number): PeakMoment {
  const { op, layer } = entry.instructions[instruction]!;
  return { entry: entry.name, instruction, op, layer };
}

function fullestMoment({ totalBytes }: MemoryTimeline): number {
  let fullest = 0;
  for (const [moment, bytes] of totalBytes.entries()) if (bytes > totalBytes[fullest]!) fullest = moment;
  return fullest;
}

function sumBy(held: readonly HeldBytes[], keyOf: (item: HeldBytes) => string): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const item of held) sums[keyOf(item)] = (sums[keyOf(item)] ?? 0) + item.bytes;
  return sums;
}
