import { type Plan, workspaceSpans } from '../../compile/index.js';
import type { ValueKind } from '../../graph/index.js';
import type { Timeline, TimelineBlock } from './report.js';

/** The life and place of every tensor and workspace of the entry with the highest peak: the training step. */
export function timelineOf(plan: Plan): Timeline {
  const entry = Object.values(plan.entries).reduce((a, b) => (b.arenaBytes > a.arenaBytes ? b : a));
  const persistent: Partial<Record<ValueKind, number>> = {};
  for (const value of plan.values)
    if (value.region === 'persistent') persistent[value.kind] = (persistent[value.kind] ?? 0) + value.bytes;
  const tensors = entry.lifetimes.map(({ value: id, first, last }): TimelineBlock => {
    const { name, layer, kind, offset, bytes } = plan.values[id]!;
    return { name, layer, kind, offset, bytes, first, last };
  });
  const spans = workspaceSpans(entry.instructions);
  const workspaces = entry.instructions.flatMap(({ op, layer, workspace }, index): TimelineBlock[] =>
    workspace.bytes === 0
      ? []
      : [{ name: `${layer}/${op} workspace`, layer, ...workspace, ...spans[index]! }],
  );
  return {
    peakBytes: plan.persistentBytes + entry.arenaBytes,
    persistent,
    arenaBytes: entry.arenaBytes,
    instructions: entry.instructions.map(({ op, layer, phase }) => ({ op, layer, phase })),
    blocks: [...tensors, ...workspaces],
  };
}
