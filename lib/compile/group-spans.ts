import type { PlanInstruction } from './plan.js';

/** Instructions from first to last inclusive. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/**
 * The group of each instruction: those that may run at the same time; most are alone. Members of one group have the
 * same object.
 */
export function groupSpans(instructions: readonly Pick<PlanInstruction, 'joinsPrevious'>[]): readonly Span[] {
  const spans: Span[] = [];
  for (let first = 0, next = 1; first < instructions.length; first = next++) {
    while (instructions[next]?.joinsPrevious) next++;
    const span = { first, last: next - 1 };
    while (spans.length < next) spans.push(span);
  }
  return spans;
}

/** When each workspace is in use: while its group runs, and while the group before it runs where it is prepared. */
export function workspaceSpans(
  instructions: readonly Pick<PlanInstruction, 'joinsPrevious' | 'isPreparedAhead'>[],
): readonly Span[] {
  const groups = groupSpans(instructions);
  return groups.map(({ first, last }, index) => ({
    first: instructions[index]!.isPreparedAhead ? groups[first - 1]!.first : first,
    last,
  }));
}
