import { formatBytes, formatCount, formatDifference } from '../../../format.js';
import { standalone } from '../../charts/standalone.js';
import { text, translate } from '../../charts/svg.js';
import { tradeOffName, tradeOffs, type QualityReport, type TradeOff } from '../quality-report.js';
import { dot, frontNumbers, markKeys, tradeOffPlot, type TradeOffAxis } from './trade-off-plot.js';

const width = 960;
const inset = 28;
const panel = { width: 410, height: 320, left: 44, gap: 40 } as const;
const rowHeight = 20;

/** The picture of a comparison: peaks against losses and against speeds, and the names of those that no other beats. */
export function tradeOffFigure(report: QualityReport): string {
  const points = tradeOffs(report);
  const numbers = frontNumbers(points);
  const top = 128;
  const listTop = top + panel.height + 80;
  const listed = [...numbers].map(([tradeOff, number], row) =>
    text(inset, listTop + 24 + row * rowHeight, `${number}  ${inWords(tradeOff)}`, { class: 'tabular' }),
  );
  const height = listTop + 24 + listed.length * rowHeight + inset;
  const { batchSize, sequenceLength, dtype, steps, grid } = report;
  const svg = [
    text(inset, 40, 'What a method learns, for which memory and time', { class: 'headline' }),
    text(
      inset,
      64,
      `${formatCount(report.numParameters)} parameters, ${steps} steps of ${batchSize} × ${sequenceLength} tokens, ${dtype}, ` +
        `${grid.seeds.length} seeds, each method at the best of its rates; peak of a step from left to right`,
      { class: 'soft' },
    ),
    translate(inset, 84, policyKeys()),
    translate(inset, top, panelSvg(points, numbers, 'loss')),
    translate(inset + panel.left + panel.width + panel.gap, top, panelSvg(points, numbers, 'speed')),
    text(inset, listTop, 'Lowest loss at their peak', { class: 'title' }),
    ...listed,
  ];
  const front = [...numbers.keys()].map(tradeOffName).join('; ');
  return standalone(
    svg.join(''),
    { width, height },
    `Peak memory against held-out loss. On the front: ${front}`,
  );
}

function panelSvg(
  points: readonly TradeOff[],
  numbers: ReadonlyMap<TradeOff, number>,
  axis: TradeOffAxis,
): string {
  const plot = tradeOffPlot(points, axis, panel);
  const soft = { class: 'soft tabular' };
  return translate(
    panel.left,
    22,
    text(-panel.left, -8, plot.title, { class: 'strong' }),
    plot.shapes,
    ...plot.yLabels.map(({ at, label }) =>
      text(-8, panel.height * (1 - at) + 4, label, { 'text-anchor': 'end', ...soft }),
    ),
    ...plot.xLabels.map(({ at, label }) =>
      text(panel.width * at, panel.height + 18, label, { 'text-anchor': 'middle', ...soft }),
    ),
    ...plot.marks.flatMap(({ tradeOff, x, y }) => {
      const number = numbers.get(tradeOff);
      if (number === undefined) return [];
      return text(x * panel.width + 9, (1 - y) * panel.height - 6, String(number), {
        class: 'strong tabular',
      });
    }),
    plot.beyond.length === 0
      ? ''
      : text(panel.width, panel.height + 38, `at the edge, in truth beyond it: ${plot.beyond.length}`, {
          'text-anchor': 'end',
          ...soft,
        }),
  );
}

/** What shapes and colours mean. */
function policyKeys(): string {
  let x = 0;
  return markKeys
    .map(([mark, label], index) => {
      const key = text(18, 10.5, label, { class: 'soft' });
      // The last is a sentence, and has a row of its own.
      if (index === markKeys.length - 1) return translate(0, 20, dot([6, 6], mark), key);
      x += 46 + label.length * 6.4;
      return translate(x - 46 - label.length * 6.4, 0, dot([6, 6], mark), key);
    })
    .join('');
}

const inWords = (tradeOff: TradeOff): string =>
  `${tradeOffName(tradeOff)}: ${formatBytes(tradeOff.peakBytes)}, ${(100 * tradeOff.shareOfPlain).toFixed(0)} % of plain; ` +
  `loss ${tradeOff.meanLoss.toFixed(3)}${ofDense(tradeOff)}; step ${tradeOff.timeOfDense.toFixed(2)} of dense`;

const ofDense = ({ lossOfDense }: TradeOff): string =>
  lossOfDense === undefined ? '' : `, ${formatDifference(lossOfDense)}`;
