import { formatBytes } from '../../format.js';
import { barSegments, shownGroups } from '../charts/kind-segments.js';
import { groupBytes, type KindBytes } from '../charts/palette.js';
import { element, escapeText as escape, linearScale } from '../charts/svg.js';

const bar = { width: 1000, height: 20 } as const;

/**
 * What stands at a peak as a bar of colours, which says it in words to pointers and screen readers.
 * @param id unique in the page
 * @param highestBytes what a bar of the full width stands for
 */
export function kindBar(
  name: string,
  { peakBytes, byKind }: { readonly peakBytes: number; readonly byKind: KindBytes },
  id: string,
  highestBytes: number,
): string {
  const parts = shownGroups([{ byKind }]).map(
    (group) => [group.colour, group.label, formatBytes(groupBytes(group, byKind))] as const,
  );
  const words = parts.map(([, label, bytes]) => `${label} ${bytes}`).join(', ');
  const svg = element(
    'svg',
    {
      viewBox: `0 0 ${bar.width} ${bar.height}`,
      preserveAspectRatio: 'none',
      role: 'img',
      tabindex: 0,
      'aria-labelledby': id,
    },
    element('title', { id }, escape(`${name}, ${formatBytes(peakBytes)}: ${words}`)),
    ...barSegments(byKind, linearScale([0, highestBytes], [0, bar.width]), 0, bar.height),
  );
  const tip = { title: `${name}: ${formatBytes(peakBytes)}`, rows: parts };
  return element('div', { class: 'bar', 'data-tip': JSON.stringify(tip) }, svg);
}
