import type { KindGroup } from './palette.js';
import { element, text, translate } from './svg.js';

/** Colour keys in one row, `width` pixels wide at most before it breaks. */
export function kindLegend(groups: readonly KindGroup[], width: number): { svg: string; height: number } {
  let x = 0;
  let y = 0;
  const keys = groups.map((group) => {
    const keyWidth = 34 + group.label.length * 6.2;
    if (x + keyWidth > width) {
      x = 0;
      y += 20;
    }
    const key = translate(
      x,
      y,
      element('rect', { width: 12, height: 12, rx: 2, fill: group.colour }),
      text(18, 10.5, group.label, { class: 'soft' }),
    );
    x += keyWidth;
    return key;
  });
  return { svg: keys.join(''), height: y + 20 };
}
