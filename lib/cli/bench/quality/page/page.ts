import { formatBytes, formatCount, formatDifference, formatSmall } from '../../../format.js';
import { shownGroups } from '../../charts/kind-segments.js';
import { plotHtml } from '../../charts/plot.js';
import { element, escapeText as escape } from '../../charts/svg.js';
import { processors } from '../../machine.js';
import { kindBar } from '../../page/kind-bar.js';
import { legendHtml } from '../../page/legend.js';
import { pageScript } from '../../page/script.js';
import { pageStyle } from '../../page/style.js';
import { htmlTable, tag, type Cell } from '../../page/table.js';
import { dot, frontNumbers, markKeys, tradeOffPlot, type TradeOffAxis } from '../charts/trade-off-plot.js';
import {
  besideSelective,
  tradeOffName,
  tradeOffs,
  type QualityReport,
  type TradeOff,
} from '../quality-report.js';

const size = { width: 1000, height: 380 } as const;

/** The whole comparison as one file: no requests, readable without scripts. */
export function qualityPage(report: QualityReport): string {
  const points = tradeOffs(report);
  const numbers = frontNumbers(points);
  const { machine, grid, batchSize, sequenceLength, gradientAccumulationSteps, dtype, steps } = report;
  const tokens = (steps * batchSize * sequenceLength * gradientAccumulationSteps).toLocaleString('en');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What methods learn, for which memory and time</title>
<style>${pageStyle}${markStyle}</style>
</head>
<body>
<main>
<h1>What methods learn, for which memory and time</h1>
<p class="soft">${escape(`${processors(machine)}, ${machine.cores} cores, ${machine.threads} threads, ${machine.instructionSet}, Node ${machine.node}.`)}</p>
<p>A LLaMA with ${formatCount(report.numParameters)} parameters on ${escape(report.corpus)}: ${steps} steps of ${batchSize} × ${sequenceLength}
tokens${gradientAccumulationSteps > 1 ? `, ${gradientAccumulationSteps} micro-batches each` : ''} (${tokens} in all), ${dtype}, ${grid.seeds.length} seeds. The same batches and the same loss
code for every method, each at the best of its own grid of two peak rates, chosen ${grid.rungs.length === 0 ? 'from whole runs' : `by runs of ${grid.rungs.join(' and ')} steps`}.
Peaks are those of one micro-batch, planned to the byte and allocated as planned; steps were timed beside plain dense ones.</p>
${legend()}
<div class="pair">${plot(points, numbers, 'loss')}${plot(points, numbers, 'speed')}</div>
${tradeOffTable(points, numbers)}
${missing(report)}
<footer>compact-train ${escape(machine.version)} · ${escape(report.createdAt.slice(0, 10))} · every number on this page is in
quality.json.</footer>
</main>
<div id="tip" aria-hidden="true" hidden></div>
<script>${pageScript}</script>
</body>
</html>
`;
}

const markStyle = `
  .kinds { min-width: 180px; }
  .beside { white-space: normal; min-width: 120px; }
  .mark { position: absolute; width: 24px; height: 24px; margin: 0 0 -12px -12px; border-radius: 12px; }
  .mark b { position: absolute; left: 19px; bottom: 10px; color: var(--ink); font-size: 12px; }`;

function plot(
  points: readonly TradeOff[],
  numbers: ReadonlyMap<TradeOff, number>,
  axis: TradeOffAxis,
): string {
  const drawn = tradeOffPlot(points, axis, size);
  const marks = drawn.marks.map(({ tradeOff, x, y }) =>
    element(
      'span',
      {
        class: 'mark',
        role: 'img',
        tabindex: 0,
        style: `left:${percent(x)};bottom:${percent(y)}`,
        'aria-label': [
          tradeOffName(tradeOff),
          ...tipRows(tradeOff).map(([, ...words]) => words.join(' ')),
        ].join(', '),
        'data-tip': JSON.stringify({ title: tradeOffName(tradeOff), rows: tipRows(tradeOff) }),
      },
      numbers.has(tradeOff) ? `<b>${numbers.get(tradeOff)}</b>` : '',
    ),
  );
  const front = [...numbers.keys()].map(tradeOffName).join('; ');
  const beyond = drawn.beyond.map(tradeOffName).join(', ');
  const chart = plotHtml({
    id: `trade-off-${axis}`,
    ...size,
    ...drawn,
    marks: marks.join(''),
    description: `Peak memory from left to right. Lowest loss at their peak: ${front}.`,
    xTitle: 'peak of a step',
  });
  const note =
    beyond === '' ? '' : `<p class="note">Drawn at the edge, in truth beyond it: ${escape(beyond)}.</p>`;
  return `<figure><figcaption><b>${escape(drawn.title)}</b></figcaption>${chart}${note}</figure>`;
}

const tipRows = (tradeOff: TradeOff): [string, string, string][] => [
  ['transparent', 'held-out loss', `${tradeOff.meanLoss.toFixed(3)}${signedOf(tradeOff.lossOfDense)}`],
  [
    'transparent',
    'peak',
    `${formatBytes(tradeOff.peakBytes)}, ${wholePercent(tradeOff.shareOfPlain)} of plain`,
  ],
  ['transparent', 'step', `${tradeOff.timeOfDense.toFixed(2)} of dense`],
];

function legend(): string {
  const items = markKeys.map(
    ([mark, words]) =>
      `<li>${element('svg', { width: 14, height: 14, 'aria-hidden': 'true' }, dot([7, 7], mark))}${escape(words)}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

function tradeOffTable(points: readonly TradeOff[], numbers: ReadonlyMap<TradeOff, number>): string {
  const highest = points[0]?.peakBytes ?? 1;
  const rows = points.map((point, index): (Cell | string)[] => {
    const number = numbers.get(point);
    const { atEdgeOf, allocatedBytes, peakBytes } = point;
    const edge = (axis: 'matrixRate' | 'otherRate'): string => (atEdgeOf.includes(axis) ? '*' : '');
    const others =
      point.otherRate === undefined ? 'frozen' : `${formatSmall(point.otherRate)}${edge('otherRate')}`;
    return [
      {
        html: `${escape(tradeOffName(point))}${number === undefined ? '' : ` ${tag(`${number}`, 'good')}`}`,
        className: number === undefined ? undefined : 'best',
      },
      `${point.meanLoss.toFixed(3)}<small>${point.lowestLoss.toFixed(3)} - ${point.highestLoss.toFixed(3)}</small>`,
      point.perplexity.toFixed(2),
      point.lossOfDense === undefined ? '' : formatDifference(point.lossOfDense),
      `${formatSmall(point.matrixRate)}${edge('matrixRate')}<small>${others}</small>`,
      `${formatBytes(peakBytes)}<small>${allocatedBytes === peakBytes ? 'allocated as planned' : `${formatBytes(allocatedBytes)} allocated`}</small>`,
      wholePercent(point.shareOfPlain),
      { html: kindBar(tradeOffName(point), point, `kinds-${index}`, highest), className: 'kinds' },
      `${formatCount(point.tokensPerSecond)}<small>step ${point.timeOfDense.toFixed(2)} of dense</small>`,
      { html: escape(besideSelective(point)), className: 'beside' },
    ];
  });
  return legendHtml(shownGroups(points)) + htmlTable({
    caption:
      'Every method with what backward rebuilds, the largest peak first. * a rate at the edge of what was tried: a better one may lie beyond',
    columns: [
      'method', 'held-out loss', 'perplexity', 'of dense', 'rates: matrices, others', 'peak', 'of plain', 'what stands at the peak',
      'tokens/s', 'beside selective recompute',
    ],
    rows,
  }); // prettier-ignore
}

const missing = ({ withoutResult }: QualityReport): string =>
  withoutResult.length === 0
    ? ''
    : `<p>Without a result, because no cell of their grid stayed finite with every seed: ${escape(withoutResult.join(', '))}.</p>`;

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;
const wholePercent = (share: number): string => `${(100 * share).toFixed(0)} %`;
const signedOf = (ratio: number | undefined): string =>
  ratio === undefined ? '' : `, ${formatDifference(ratio)} of dense`;
