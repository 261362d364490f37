import { formatCount, formatGiB } from '../../../format.js';
import { smallestPeak } from '../planned-peaks.js';
import type { PlannedModel, PlannedPeak, PlannedTable } from '../report.js';
import { kindLegend } from '../../charts/legend.js';
import { barSegments, shownGroups } from '../../charts/kind-segments.js';
import { groupBytes, type KindGroup } from '../../charts/palette.js';
import { standalone } from '../../charts/standalone.js';
import { byteTicks, element, linearScale, text, translate, type Scale } from '../../charts/svg.js';

const width = 900;
const inset = 24;
const rowHeight = 36;
const barHeight = 24;
const labelWidth = 212;
const valueWidth = 90;
/** Larger than in a report: a README is shown narrower than the picture is. */
const scale = 1.25;

/** Dense methods, then compact ones: each from the most memory to the least. */
const sections = [
  {
    title: 'dense',
    bars: [
      { variant: 'dense', label: 'plain' },
      { variant: 'dense, cheap recompute', label: 'selective recompute' },
      { variant: 'dense, layer checkpointing', label: 'layer checkpointing' },
    ],
  },
  {
    title: 'compact, rank n/4',
    bars: [
      { variant: 'compact n/4, stored', label: 'stored' },
      { variant: 'compact n/4, lazy', label: 'lazy' },
      { variant: 'compact n/4, lazy, layer checkpointing', label: 'lazy, layer checkpointing' },
    ],
  },
] as const;

/** The picture of a README: planned peaks of one model, what stands at them, and the smallest beside every baseline. */
export function peaksFigure(table: PlannedTable, model: PlannedModel): string {
  const tokens = (table.batchSize * table.sequenceLength).toLocaleString('en');
  const peaks = new Map(model.peaks.map((peak) => [peak.variant, peak]));
  const shown = sections.flatMap(({ bars }) => bars.map(({ variant }) => peaks.get(variant)!));
  const inner = (width - 2 * inset) / scale;
  const highest = Math.max(...shown.map(({ peakBytes }) => peakBytes));
  const x = linearScale([0, highest], [labelWidth, inner - valueWidth]);
  const smallest = smallestPeak({ ...model, peaks: shown });
  const isVisible = (group: KindGroup) =>
    shown.some(({ byKind }) => x(groupBytes(group, byKind)) - x(0) >= 0.5);
  const legend = kindLegend(shownGroups(shown).filter(isVisible), inner);
  const rows: string[] = [];
  let y = legend.height + 6;
  const top = y;
  for (const { title, bars } of sections) {
    rows.push(text(0, y + 22, title, { class: 'strong' }));
    y += 30;
    for (const { variant, label } of bars) {
      const peak = peaks.get(variant)!;
      rows.push(translate(0, y, bar(peak, label, x, peak === smallest)));
      y += rowHeight;
    }
  }
  const grid = byteTicks(highest, 5).flatMap(({ value, label }) => [
    element('line', { x1: x(value), x2: x(value), y1: top, y2: y, class: 'rule' }),
    text(x(value), y + 18, label, { 'text-anchor': 'middle', class: 'soft tabular' }),
  ]);
  const drawing = element(
    'g',
    { transform: `translate(${inset} 84) scale(${scale})` },
    legend.svg,
    ...grid,
    ...rows,
  );
  const height = Math.ceil(84 + (y + 26) * scale + inset / 2);
  const words = [
    text(inset, 38, 'Peak memory of one training step', { class: 'headline' }),
    text(
      inset,
      62,
      `${model.model} (${formatCount(model.numParameters)} parameters), ${tokens} tokens, ${table.dtype}; planned to the byte`,
      { class: 'subtitle soft' },
    ),
  ];
  const list = shown.map(({ variant, peakBytes }) => `${variant} ${formatGiB(peakBytes)} GiB`).join('; ');
  return standalone(
    [...words, drawing].join(''),
    { width, height },
    `Planned peak memory of ${model.model}: ${list}`,
  );
}

function bar(peak: PlannedPeak, label: string, x: Scale, isSmallest: boolean): string {
  const total = `${formatGiB(peak.peakBytes)} GiB`;
  const middle = rowHeight / 2 + 4;
  const end = x(peak.peakBytes) + 8;
  const words = isSmallest
    ? [
        text(end, middle - 7, `${total}, the smallest`, { class: 'strong good tabular' }),
        text(end, middle + 9, smallestNote(peak), { class: 'good tabular' }),
      ]
    : [
        text(end, middle, total, { class: 'strong tabular' }),
        text(end + 10 + total.length * 6.8, middle, plainNote(peak), { class: 'soft tabular' }),
      ];
  return [
    text(labelWidth - 12, middle, label, { 'text-anchor': 'end', class: isSmallest ? 'strong' : undefined }),
    ...barSegments(peak.byKind, x, (rowHeight - barHeight) / 2, barHeight),
    ...words,
  ].join('');
}

const plainNote = ({ shareOfPlain }: PlannedPeak): string =>
  shareOfPlain === 1 ? '' : `${percent(shareOfPlain)} of plain`;

const smallestNote = ({ shareOfPlain, shareOfSelective, shareOfCheckpointed }: PlannedPeak): string =>
  `${percent(shareOfCheckpointed!)} of layer checkpointing, ${percent(shareOfSelective!)} of selective, ` +
  `${percent(shareOfPlain)} of plain`;

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
