import { formatBytes, formatCount, formatPercent, formatSmall } from '../../../format.js';
import {
  axisNote,
  lastLoss,
  lossPlot,
  movingAverage,
  ratesInWords,
  seriesColour,
  seriesDashes,
} from '../charts/loss-curves.js';
import { plotHtml } from '../../charts/plot.js';
import { element, escapeText as escape } from '../../charts/svg.js';
import { inlineJson } from '../../page/json.js';
import { htmlTable, tag, type Cell } from '../../page/table.js';
import type { DemoReport, DemoRun } from '../report.js';

const size = { width: 1000, height: 320 } as const;
const dataId = 'loss-data';

export const signed = (share: number): string => `${share >= 0 ? '+' : ''}${formatPercent(share)}`;

/** The small model that was really trained. */
export function trainingSection(demo: DemoReport): string {
  const { corpus, maxSteps, batchSize, sequenceLength, dtype, tokenizer, seed } = demo;
  const samples = demo.runs.map(
    ({ variant, sample }) =>
      `<h3>${escape(variant)} writes</h3><blockquote><b>${escape(sample.prompt)}</b>${escape(sample.text)}</blockquote>`,
  );
  return `<p>A LLaMA with ${formatCount(demo.numParameters)} parameters on ${escape(corpus)}, ${maxSteps} steps of
${batchSize} × ${sequenceLength} tokens, ${dtype}, tokenizer ${escape(tokenizer)}, seed ${seed}: the same batches
for every method, each at its best peak learning rates of one grid: that of matrices, and that of the others, which are
embeddings, head and norms.</p>
${lossFigure(demo)}
${runTable(demo)}
${samples.join('')}`;
}

function lossFigure({ runs, corpus }: DemoReport): string {
  const plot = lossPlot(runs, size.width, size.height);
  const lines = runs.map(
    (run, index) =>
      `<li>${lineKey(index)}<b>${escape(run.variant)}</b> ${lastLoss(run).toFixed(3)} <span class="soft">${ratesInWords(run)}</span></li>`,
  );
  const ends = runs.map((run) => `${run.variant} ${lastLoss(run).toFixed(3)}`).join(', ');
  const chart = plotHtml({
    id: 'loss',
    ...size,
    ...plot,
    title: 'Loss while training, in nats per token',
    description: `Loss against tokens on ${corpus}. Held-out loss at the end: ${ends}. ${axisNote(plot)}`,
    xTitle: 'tokens',
    data: { 'data-loss': dataId },
  });
  const data = {
    steps: runs[0]!.losses.map(({ step }) => step),
    tokens: runs[0]!.losses.map(({ numTokens }) => numTokens),
    runs: runs.map((run, index) => ({
      name: run.variant,
      colour: seriesColour(index),
      means: movingAverage(run.losses).map(({ loss }) => loss),
      heldOut: Object.fromEntries(run.evaluations.map(({ step, loss }) => [step, loss])),
    })),
  };
  return `<figure><figcaption><b>Loss while training</b>, nats per token</figcaption>
<ul class="legend">${lines.join('')}</ul>
${chart}
<p class="note">Thin: each step. Thick: their moving average. Dots: held-out text, whose last loss stands above. ${escape(axisNote(plot))}</p>
${inlineJson(dataId, data)}</figure>`;
}

const lineKey = (index: number): string =>
  element(
    'svg',
    { width: 28, height: 12, 'aria-hidden': 'true' },
    element('line', {
      x1: 0, x2: 28, y1: 6, y2: 6, stroke: seriesColour(index), 'stroke-width': 2,
      'stroke-dasharray': seriesDashes(index),
    }), // prettier-ignore
    element('circle', { cx: 14, cy: 6, r: 4, fill: seriesColour(index) }),
  );

function runTable({ runs }: DemoReport): string {
  const dense = runs[0]!;
  const best = (of: (run: DemoRun) => number) => Math.min(...runs.map(of));
  const leastLoss = best(({ finalLoss }) => finalLoss);
  const leastBytes = best(({ plannedBytes }) => plannedBytes);
  const rows = runs.map((run): (Cell | string)[] => [
    `${escape(run.variant)}${run === dense ? ` ${tag('baseline')}` : ''}`,
    formatSmall(run.learningRate),
    formatSmall(run.otherLearningRate),
    mark(
      run.finalLoss === leastLoss,
      run.finalLoss.toFixed(3),
      run === dense ? '' : `<small>${signed(run.lossGap)} against ${escape(dense.variant)}</small>`,
    ),
    run.perplexity.toFixed(2),
    formatCount(run.tokensPerSecond),
    mark(
      run.plannedBytes === leastBytes,
      formatBytes(run.plannedBytes),
      run === dense
        ? ''
        : `<small>${formatPercent(run.plannedBytes / dense.plannedBytes)} of ${escape(dense.variant)}</small>`,
    ),
    formatBytes(run.allocatedBytes),
    `${formatBytes(run.processBytes)}<small>${formatBytes(run.baseProcessBytes)} before</small>`,
    `${run.eventLoopDelayP99Ms.toFixed(1)} ms`,
  ]);
  return htmlTable({
    caption: 'What each training run reached and what it took; the lowest loss and the least memory are marked',
    columns: [
      'method', 'rate of matrices', 'of the others', 'held-out loss', 'perplexity', 'tokens/s', 'planned', 'allocated', 'process',
      'event loop p99',
    ],
    rows,
  }); // prettier-ignore
}

const mark = (isBest: boolean, value: string, rest: string): Cell =>
  isBest ? { html: `<b>${value}</b>${rest}`, className: 'best' } : { html: `${value}${rest}` };
