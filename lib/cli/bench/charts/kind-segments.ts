import { formatBytes } from '../../format.js';
import { groupBytes, kindGroups, type KindBytes, type KindGroup } from './palette.js';
import { element, type Scale } from './svg.js';

/** The groups of kinds that some of the bars have. */
export const shownGroups = (bars: readonly { readonly byKind: KindBytes }[]): readonly KindGroup[] =>
  kindGroups.filter((group) => bars.some(({ byKind }) => groupBytes(group, byKind) > 0));

/** One bar: a rectangle for each kind, in the order of the legend; `x` places bytes, `y` is the upper edge. */
export function barSegments(byKind: KindBytes, x: Scale, y: number, height: number): string[] {
  let from = 0;
  return kindGroups.flatMap((group) => {
    const bytes = groupBytes(group, byKind);
    if (bytes === 0) return [];
    const width = Math.max(0, x(from + bytes) - x(from));
    const place = { x: x(from), y, width, height, fill: group.colour };
    from += bytes;
    return [element('rect', place, element('title', {}, `${group.label} ${formatBytes(bytes)}`))];
  });
}
