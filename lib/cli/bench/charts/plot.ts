import { element, escapeText as escape } from './svg.js';

/** A label of an axis; `at` is its place as a share of the axis, from left or from below. */
export interface AxisLabel {
  readonly at: number;
  readonly label: string;
}

/** A chart with two axes, drawn on `width` by `height` pixels. */
export interface Plot {
  /** Unique in a page. */
  readonly id: string;
  readonly title: string;
  /** What a reader who does not see it has to know. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly shapes: string;
  readonly xLabels: readonly AxisLabel[];
  readonly yLabels: readonly AxisLabel[];
  readonly xTitle?: string;
  /** Markup that lies over the shapes. */
  readonly marks?: string;
  /** What a line across the plot means; `at` from below. */
  readonly line?: AxisLabel;
  /** What the page's script reads: its names are those of data attributes. */
  readonly data?: Readonly<Record<string, string | number>>;
}

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;

/**
 * A plot in a page: the shapes stretch to the width there is, the words around them are text of the page and keep
 * their size on every screen.
 */
export function plotHtml({ id, height, width, xTitle, data, ...plot }: Plot): string {
  const yLabels = plot.yLabels.map(
    ({ at, label }) => `<span style="bottom:${percent(at)}">${escape(label)}</span>`,
  );
  const xLabels = plot.xLabels.map(
    ({ at, label }) => `<span style="left:${percent(at)}">${escape(label)}</span>`,
  );
  const svg = element(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-labelledby': `${id}-title ${id}-desc`,
    },
    element('title', { id: `${id}-title` }, escape(plot.title)),
    element('desc', { id: `${id}-desc` }, escape(plot.description)),
    plot.shapes,
  );
  const line = plot.line && `<b style="bottom:${percent(plot.line.at)}">${escape(plot.line.label)}</b>`;
  const area = element(
    'div',
    { class: 'plot-area', style: `height:${height}px`, 'data-label': plot.title, ...data },
    svg,
    line ?? '',
    plot.marks ?? '',
  );
  return `<div class="plot"><div class="plot-y" aria-hidden="true">${yLabels.join('')}</div>${area}
<div class="plot-x" aria-hidden="true">${xLabels.join('')}${xTitle === undefined ? '' : `<i>${escape(xTitle)}</i>`}</div></div>`;
}
