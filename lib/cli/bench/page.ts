import { formatBytes, formatCount, formatGiB, formatPercent, formatSmall } from '../format.js';
import { kindLegend } from './charts/legend.js';
import { lossCurves } from './charts/loss-curves.js';
import { arenaMap, memoryTimeline, timelineMargin } from './charts/memory-timeline.js';
import { groupBytes, groupOf, kindGroups } from './charts/palette.js';
import { peakBars } from './charts/peak-bars.js';
import { element, escapeText as escape, translate } from './charts/svg.js';
import { processors } from './machine.js';
import { pageScript } from './page-script.js';
import { pageStyle } from './page-style.js';
import { publishedResults } from './published-figures.js';
import type { BenchReport, DemoReport, NamedTimeline, PlannedTable } from './report.js';

const width = 976;

/** The whole report as one file: no requests, readable without scripts, hover with them. */
export function reportPage(report: BenchReport): string {
  const ours = report.planned.find((table) => table.accounting === 'ours')!;
  const published = report.planned.find((table) => table.accounting === 'published')!;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training memory report</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<h1>What training holds in memory, and what compression saves</h1>
<p class="soft">${escape(machineLine(report))}</p>
${facts(report, ours)}
<h2>Planned peaks</h2>
<p>The exact peak of one training step, known before anything is allocated. A micro-batch is ${sizeOf(ours)}.
There are two honest baselines: <i>dense</i> keeps what automatic differentiation keeps; <i>dense, cheap recompute</i> rebuilds
norm outputs and the SwiGLU product in backward, exactly. Small figures are shares of the first and of the second.</p>
${modelBars(ours)}
${plannedTable(ours)}
<h2>Where every byte goes</h2>
<p>One training step from left to right, one instruction at a time. Point at a chart to see the instruction, the bytes by
kind and the largest blocks. The lower charts show the arena itself: each rectangle is one tensor, its place and its life.</p>
${report.timelines.length === 0 ? '' : timelineSection(report.timelines)}
<h2>Training the same text</h2>
${demoSection(report.demo)}
<h2>Beside the published figures</h2>
<p>The CompAct paper's own accounting: one projection per weight, bfloat16 gradients and moments, gradients that stay alive
across micro-batches (${sizeOf(published)}). Savings against dense training, planned here and measured there.</p>
${savingsTable(report)}
<h3>Planned peaks in this accounting, GiB</h3>
${plannedTable(published)}
<h3>Published: perplexity and peak GiB on one GPU</h3>
${publishedTable()}
<footer>compact-train ${escape(report.machine.version)} · ${escape(report.createdAt.slice(0, 10))} · every number on this page is in
report.json. Published figures: Shamshoum et al., CompAct, NAACL 2025 (arXiv 2410.15352), tables 2 to 4.</footer>
</main>
<div id="tip" hidden></div>
<script>${pageScript}</script>
</body>
</html>
`;
}

function machineLine({ machine, quick, durationSeconds }: BenchReport): string {
  const quickNote = quick ? 'Quick run: a short training. ' : '';
  return (
    `${quickNote}${processors(machine)}, ${machine.cores} cores, ${machine.threads} threads, ${machine.instructionSet}, ` +
    `${formatBytes(machine.memoryBytes)}, Node ${machine.node}. Done in ${Math.round(durationSeconds)} s.`
  );
}

function facts(report: BenchReport, ours: PlannedTable): string {
  const model = ours.models.find((candidate) => candidate.model === 'llama-350m') ?? ours.models[0]!;
  const lazy = model.peaks.find((peak) => peak.variant === 'compact n/4, lazy');
  const runs = report.demo.runs;
  const compact = runs.find((run) => run.variant !== runs[0]!.variant);
  const list = [
    lazy && [formatPercent(lazy.shareOfPlain), `of the dense peak: ${model.model}, compact n/4 lazy`],
    lazy?.shareOfSelective && [formatPercent(lazy.shareOfSelective), 'of dense with cheap recompute'],
    compact && [signed(compact.lossGap), 'loss against dense, same text, demo model'],
    compact && [
      runs.every((run) => run.plannedBytes === run.allocatedBytes) ? 'equal' : 'different',
      'planned and allocated bytes of every run',
    ],
  ].filter((fact) => Array.isArray(fact));
  return `<div class="facts">${list.map(([value, label]) => `<div class="fact"><b>${escape(value!)}</b><span>${escape(label!)}</span></div>`).join('')}</div>`;
}

const sizeOf = (table: PlannedTable): string =>
  `${table.batchSize} sequences of ${table.sequenceLength} tokens, ${table.dtype}`;

function modelBars(table: PlannedTable): string {
  const initial = table.models.find((model) => model.model === 'llama-350m') ?? table.models[0]!;
  const options = table.models.map((model) =>
    element(
      'option',
      { value: model.model, selected: model === initial ? 'selected' : undefined },
      escape(`${model.model} (${formatCount(model.numParameters)} parameters)`),
    ),
  );
  const panels = table.models.map((model) => {
    const bars = peakBars(model.peaks, width);
    const hidden = model === initial ? {} : { hidden: 'hidden' };
    const attributes = { 'data-panel': 'peaks', 'data-value': model.model, ...hidden };
    return element('div', attributes, chart(bars.svg, bars.height));
  });
  return `<p><label>Model ${element('select', { 'data-shows': 'peaks' }, ...options)}</label></p>${panels.join('')}`;
}

/** Methods down, models across. */
function plannedTable(table: PlannedTable): string {
  const rows = table.models[0]!.peaks.map(({ variant }, index) => [
    escape(variant),
    ...table.models.map(({ peaks }) => {
      const { peakBytes, shareOfPlain, shareOfSelective } = peaks[index]!;
      const shares = [shareOfPlain, shareOfSelective].filter((share) => share !== undefined);
      return `${formatGiB(peakBytes)}<small>${shares.map(wholePercent).join(' · ')}</small>`;
    }),
  ]);
  return htmlTable(['GiB', ...table.models.map(({ model }) => model.replace('llama-', ''))], rows, 'stacked');
}

function timelineSection(timelines: readonly NamedTimeline[]): string {
  const titles = [...new Set(timelines.map((timeline) => timeline.title))];
  return titles
    .map((title, section) => {
      const group = timelines.filter((timeline) => timeline.title === title);
      const highest = 1.03 * Math.max(...group.map((timeline) => timeline.peakBytes));
      const highestArena = 1.03 * Math.max(...group.map((timeline) => timeline.arenaBytes));
      const shown = kindGroups.filter((kind) =>
        group.some(
          (t) => groupBytes(kind, t.persistent) > 0 || t.blocks.some((b) => groupOf(b.kind) === kind),
        ),
      );
      const legend = kindLegend(shown, width);
      const charts = group.map((timeline, index) => {
        const id = `timeline-${section}-${index}`;
        const name = `${escape(timeline.variant)} <span class="soft">peak ${formatBytes(timeline.peakBytes)}</span>`;
        return `<h3>${name}</h3>
${chart(memoryTimeline(timeline, width, 250, highest), 250, { 'data-timeline': id, ...marginData })}
${chart(arenaMap(timeline, width, 380, highestArena), 380, { 'data-map': id })}
<script type="application/json" id="${id}">${timelineData(timeline)}</script>`;
      });
      return `<h3>${escape(title)}</h3>${chart(translate(0, 2, legend.svg), legend.height)}${charts.join('')}`;
    })
    .join('');
}

const marginData = {
  'data-left': timelineMargin.left,
  'data-right': timelineMargin.right,
  'data-top': timelineMargin.top,
  'data-bottom': timelineMargin.bottom,
};

/** Short rows for the script: [name, layer, kind, bytes, first, last] a block. */
function timelineData(timeline: NamedTimeline): string {
  const data = {
    kinds: kindGroups.map((group) => [group.label, group.colour]),
    persistent: kindGroups.map((group) => groupBytes(group, timeline.persistent)),
    instructions: timeline.instructions.map(({ op, layer, phase }) => [op, layer, phase]),
    blocks: timeline.blocks.map(({ name, layer, kind, bytes, first, last }) => [
      name, layer, kindGroups.indexOf(groupOf(kind)), bytes, first, last,
    ]), // prettier-ignore
  };
  return JSON.stringify(data).replaceAll('<', '\\u003c');
}

function demoSection(demo: DemoReport): string {
  const rows = demo.runs.map((run) => [
    escape(run.variant),
    formatSmall(run.learningRate),
    run === demo.runs[0]
      ? run.finalLoss.toFixed(3)
      : `${run.finalLoss.toFixed(3)}<small>${signed(run.lossGap)}</small>`,
    run.perplexity.toFixed(2),
    formatCount(run.tokensPerSecond),
    formatBytes(run.plannedBytes),
    formatBytes(run.allocatedBytes),
    `${formatBytes(run.processBytes)}<small>${formatBytes(run.baseProcessBytes)} before</small>`,
    `${run.eventLoopDelayP99Ms.toFixed(1)} ms`,
  ]);
  const samples = demo.runs.map(
    (run) =>
      `<h3>${escape(run.variant)} writes</h3><blockquote><b>${escape(run.sample.prompt)}</b>${escape(run.sample.text)}</blockquote>`,
  );
  return `<p>A LLaMA with ${formatCount(demo.numParameters)} parameters on ${escape(demo.corpus)}, ${demo.maxSteps} steps of
${demo.batchSize} × ${demo.sequenceLength} tokens, ${demo.dtype}, tokenizer ${escape(demo.tokenizer)}, seed ${demo.seed}: the same batches
for every method, each with its own tuned learning rate. Loss in nats per token; dots are held-out text.</p>
${chart(lossCurves(demo.runs, width, 340), 340)}
${htmlTable(
  [
    'method',
    'learning rate',
    'held-out loss',
    'perplexity',
    'tokens/s',
    'planned',
    'allocated',
    'process',
    'event loop p99',
  ],
  rows,
)}
${samples.join('')}`;
}

function savingsTable({ savings }: BenchReport): string {
  const ratios = [...new Set(savings.map((saving) => saving.rankRatio))].sort((a, b) => b - a);
  const models = [...new Set(savings.map((saving) => saving.model))];
  const rows = models.map((model) => [
    escape(model),
    ...ratios.map((ratio) => {
      const saving = savings.find((candidate) => candidate.model === model && candidate.rankRatio === ratio);
      if (saving === undefined) return '';
      const paper =
        saving.publishedBytes === undefined
          ? 'dense did not fit'
          : `paper ${formatGiB(saving.publishedBytes)}`;
      return `${formatGiB(saving.plannedBytes)}<small>${paper}</small>`;
    }),
  ]);
  return htmlTable(['GiB saved', ...ratios.map((ratio) => `n/${1 / ratio}`)], rows);
}

function publishedTable(): string {
  const { models, rows } = publishedResults;
  return htmlTable(
    ['', ...models],
    rows.map(({ method, results }) => [
      escape(method),
      ...results.map(
        ({ perplexity, peakGiB }) =>
          `${perplexity.toFixed(2)}<small>${peakGiB?.toFixed(2) ?? 'over 80'} GiB</small>`,
      ),
    ]),
  );
}

const wholePercent = (share: number): string => `${Math.round(100 * share)} %`;

const signed = (share: number): string => `${share >= 0 ? '+' : ''}${formatPercent(share)}`;

const chart = (svg: string, height: number, data: Record<string, string | number> = {}): string =>
  element('svg', { viewBox: `0 0 ${width} ${height}`, class: 'chart', role: 'img', ...data }, svg);

/** Cells are markup; the caller escapes them. */
function htmlTable(head: readonly string[], rows: readonly (readonly string[])[], style = ''): string {
  const header = head.map((title) => `<th>${escape(title)}</th>`).join('');
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n');
  return `<div class="scroll"><table class="${style}"><thead><tr>${header}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}
