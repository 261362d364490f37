import type { BenchReport } from '../report.js';
import { formatCount } from '../../format.js';
import { lossCurves } from './loss-curves.js';
import { chartStyle } from './palette.js';
import { peakBars } from './peak-bars.js';
import { element, text, translate } from './svg.js';

const width = 960;
const inset = 28;

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
      'aria-label': label,
    },
    element('style', {}, chartStyle.replaceAll('"', "'")),
    element('rect', { width: size.width, height: size.height, class: 'ground' }),
    svg,
  );
}

/** The picture of a report for a README: planned peaks of one model, and what the small model learned. */
export function reportFigure(report: BenchReport): string {
  const planned = report.planned.find((table) => table.accounting === 'ours')!;
  const model = planned.models.find((candidate) => candidate.model === 'llama-350m') ?? planned.models[0]!;
  const inner = width - 2 * inset;
  const bars = peakBars(model.peaks, inner);
  const tokens = planned.batchSize * planned.sequenceLength;
  const { demo } = report;
  const curvesHeight = 320;
  const barsTop = 92;
  const curvesTop = barsTop + bars.height + 66;
  const height = curvesTop + curvesHeight + inset;
  const svg = [
    text(inset, 40, 'Training memory, planned to the byte', { class: 'headline' }),
    text(
      inset,
      64,
      `${model.model}, ${formatCount(model.numParameters)} parameters, ${tokens.toLocaleString('en')} tokens a step, ` +
        `${planned.dtype}: peak by what it is for, and as a share of dense training`,
      { class: 'soft' },
    ),
    translate(inset, barsTop, bars.svg),
    text(inset, curvesTop - 34, 'The same batches, with and without compression', { class: 'title' }),
    text(
      inset,
      curvesTop - 14,
      `${formatCount(demo.numParameters)} parameters on real text (${demo.corpus}): loss in nats per token, ` +
        'dots on held-out text',
      { class: 'soft' },
    ),
    translate(inset, curvesTop, lossCurves(demo.runs, inner, curvesHeight)),
  ].join('');
  return standalone(
    svg,
    { width, height },
    'Planned peak memory by method, and loss curves of the demo model',
  );
}
