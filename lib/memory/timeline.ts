import { type Plan, type PlanEntry, workspaceSpans } from '../compile/index.js';
import type { ValueKind } from '../graph/index.js';

/** Arena bytes in use at each instruction of an entry; one number per instruction in every list. */
export interface MemoryTimeline {
  readonly totalBytes: readonly number[];
  /** Kinds that never occur are left out. */
  readonly byKind: Readonly<Partial<Record<ValueKind, readonly number[]>>>;
}

export function entryTimeline(plan: Plan, entry: PlanEntry): MemoryTimeline {
  const { length } = entry.instructions;
  const byKind: Partial<Record<ValueKind, number[]>> = {};
  const change = (kind: ValueKind, first: number, last: number, bytes: number) => {
    const changes = (byKind[kind] ??= Array.from<number>({ length }).fill(0));
    changes[first]! += bytes;
    if (last + 1 < length) changes[last + 1]! -= bytes;
  };
  for (const { value, first, last } of entry.lifetimes) {
    const { kind, bytes } = plan.values[value]!;
    change(kind, first, last, bytes);
  }
  const spans = workspaceSpans(entry.instructions);
  for (const [index, { workspace }] of entry.instructions.entries()) {
    const { first, last } = spans[index]!;
    if (workspace.bytes > 0) change(workspace.kind, first, last, workspace.bytes);
  }
  const totalBytes = Array.from<number>({ length }).fill(0);
  for (const bytes of Object.values(byKind)) {
    for (let index = 0; index < length; index++) {
      if (index > 0) bytes[index]! += bytes[index - 1]!;
      totalBytes[index]! += bytes[index]!;
    }
  }
  return { totalBytes, byKind };
}
