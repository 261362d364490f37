import type { KindGroup } from '../charts/palette.js';
import { escapeText as escape } from '../charts/svg.js';

/** What the colours mean, as text of the page. */
export const legendHtml = (groups: readonly KindGroup[]): string =>
  `<ul class="legend">${groups.map(({ colour, label }) => `<li>${swatch(colour)}${escape(label)}</li>`).join('')}</ul>`;

/** Drawn, so that it is printed, too. */
const swatch = (colour: string): string =>
  `<svg width="12" height="12" aria-hidden="true"><rect width="12" height="12" rx="2" fill="${colour}"/></svg>`;
