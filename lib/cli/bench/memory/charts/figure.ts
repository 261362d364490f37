import { formatCount, formatPercent } from '../../../format.js';
import { smallestPeak } from '../planned-peaks.js';
import type { BenchReport, PlannedPeak } from '../report.js';
import { axisNote, lossCurves, lossPlot } from './loss-curves.js';
import { peakBars } from './peak-bars.js';
import { standalone } from '../../charts/standalone.js';
import { text, translate } from '../../charts/svg.js';

const width = 960;
const inset = 28;

/** The picture of a report: planned peaks of one model, and what the small model learned. */
export function reportFigure(report: BenchReport): string {
  const planned = report.planned.find((table) => table.accounting === 'ours')!;
  const model = planned.models.find((candidate) => candidate.model === 'llama-350m') ?? planned.models[0]!;
  const inner = width - 2 * inset;
  const smallest = smallestPeak(model);
  const sorted = model.peaks.toSorted((a, b) => b.peakBytes - a.peakBytes);
  const bars = peakBars(
    sorted.map((peak) => (peak === smallest ? { ...peak, mark: sharesInWords(peak) } : peak)),
    inner,
  );
  const tokens = planned.batchSize * planned.sequenceLength;
  const { demo } = report;
  const curvesHeight = 320;
  const barsTop = 92;
  const curvesTop = barsTop + bars.height + 66;
  const height = curvesTop + 18 + curvesHeight + inset;
  const svg = [
    text(inset, 40, 'Training memory, planned to the byte', { class: 'headline' }),
    text(
      inset,
      64,
      `${model.model}, ${formatCount(model.numParameters)} parameters, ${tokens.toLocaleString('en')} tokens a step, ` +
        `${planned.dtype}: peak by what it is for, and as a share of plain dense training; the largest first`,
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
    text(inset, curvesTop + 4, axisNote(lossPlot(demo.runs, inner, curvesHeight)), { class: 'soft' }),
    translate(inset, curvesTop + 18, lossCurves(demo.runs, inner, curvesHeight)),
  ].join('');
  return standalone(
    svg,
    { width, height },
    'Planned peak memory by method, and loss curves of the demo model',
  );
}

/** Of the smallest peak. */
function sharesInWords({ shareOfPlain, shareOfSelective, shareOfCheckpointed }: PlannedPeak): string {
  const shares = [
    ['plain', shareOfPlain],
    ['selective', shareOfSelective],
    ['checkpointed', shareOfCheckpointed],
  ] as const;
  const words = shares.flatMap(([name, share]) =>
    share === undefined ? [] : `${formatPercent(share)} of ${name}`,
  );
  return `smallest: ${words.join(', ')}`;
}
