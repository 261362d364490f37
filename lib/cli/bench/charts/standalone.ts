import { chartStyle } from './palette.js';
import { element, escapeText as escape } from './svg.js';

/** A drawing that stands alone: its own style, its own background, a name for screen readers. */
export function standalone(svg: string, size: { width: number; height: number }, label: string): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${size.width} ${size.height}`,
      width: size.width,
      height: size.height,
      class: 'chart',
      role: 'img',
      'aria-labelledby': 'picture-title',
    },
    element('title', { id: 'picture-title' }, escape(label)),
    element('style', {}, chartStyle.replaceAll('"', "'")),
    element('rect', { width: size.width, height: size.height, class: 'ground' }),
    svg,
  );
}
