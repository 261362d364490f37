import { type Plan, type PlanEntry, workspaceSpans } from '../../../compile/index.js';
import type { ValueKind } from '../../../graph/index.js';
import type { Timeline, TimelineBlock } from '../memory/report.js';

/** The life and place of every tensor and workspace of the entry with the highest peak: the training step. */
export function timelineOf(plan: Plan): Timeline {
  const entry = Object.values(plan.entries).reduce((a, b) => (b.arenaBytes > a.arenaBytes ? b : a));
  const persistent: Partial<Record<ValueKind, number>> = {};
  for (const value of plan.values)
    if (value.region === 'persistent') persistent[value.kind] = (persistent[value.kind] ?? 0) + value.bytes;
  const { makers, lastReaders } = users(entry);
  const tensors = entry.lifetimes.map(({ value: id, first, last }): TimelineBlock => {
    const { name, layer, kind, offset, bytes } = plan.values[id]!;
    const madeBy = makers.get(id);
    const lastReadBy = entry.outputs.includes(id) ? undefined : (lastReaders.get(id) ?? madeBy);
    return { name, layer, kind, offset, bytes, first, last, madeBy, lastReadBy };
  });
  const spans = workspaceSpans(entry.instructions);
  const workspaces = entry.instructions.flatMap(({ op, layer, workspace }, index): TimelineBlock[] => {
    if (workspace.bytes === 0) return [];
    const name = `${layer}/${op} workspace`;
    return [{ name, layer, ...workspace, ...spans[index]!, madeBy: index, lastReadBy: index }];
  });
  return {
    peakBytes: plan.persistentBytes + entry.arenaBytes,
    persistent,
    arenaBytes: entry.arenaBytes,
    instructions: entry.instructions.map(({ op, layer, phase }) => ({ op, layer, phase })),
    blocks: [...tensors, ...workspaces],
  };
}

/**
 * Which instruction writes a value, and which reads it last. The lifetime does not tell: that of a value in whose place
 * another is made ends before its last reader, and that of a member of a group spans the group.
 */
function users({ instructions }: PlanEntry) {
  const makers = new Map<number, number>();
  const lastReaders = new Map<number, number>();
  for (const [index, { inputs, outputs }] of instructions.entries()) {
    for (const value of inputs) lastReaders.set(value, index);
    for (const value of outputs) makers.set(value, index);
  }
  return { makers, lastReaders };
}
