import { formatBytes } from '../../../format.js';
import { escapeText as escape } from '../../charts/svg.js';
import { processors } from '../../machine.js';
import { cards } from './cards.js';
import { timelineSection } from './timelines.js';
import { modelBars, plannedTable, sizeOf } from './peaks.js';
import { publishedTable, savingsTable } from './published.js';
import { pageScript } from '../../page/script.js';
import { pageStyle } from '../../page/style.js';
import { trainingSection } from './training.js';
import type { BenchReport } from '../report.js';

/** The whole report as one file: no requests, readable without scripts, and with them answers to pointer and keys. */
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
${cards(report, ours)}
<h2>Planned peaks</h2>
<p>The exact peak of one training step, known before anything is allocated. A micro-batch is ${sizeOf(ours)}.
Three baselines are dense: <i>plain</i> keeps what automatic differentiation keeps; <i>selective</i> (cheap recompute) rebuilds
norm outputs and the SwiGLU product in backward, exactly and nearly free; <i>checkpointed</i> (layer checkpointing) keeps the
inputs of blocks only and pays with about one more forward pass, as compact with layer checkpointing does.</p>
${modelBars(ours)}
${plannedTable(ours, 'Planned peaks of every model, GiB; below each the per cent of plain · selective · checkpointed; the smallest of a model is marked')}
<h2>Where every byte goes</h2>
<p>One training step from left to right, one instruction at a time. Point at a chart, tap it, or go along it with the arrow
keys to see the instruction, the bytes by kind and the largest blocks. The arena below each is drawn as it is: a rectangle is
one tensor, its place and its life.</p>
${timelineSection(report.timelines)}
<h2>Training the same text</h2>
${trainingSection(report.demo)}
<h2>Beside the published figures</h2>
<p>The CompAct paper's own accounting: one projection per weight, bfloat16 gradients and moments, gradients that stay alive
across micro-batches (${sizeOf(published)}).</p>
${savingsTable(report)}
${plannedTable(published, "Planned peaks in the paper's accounting, GiB; below each the per cent of dense; the smallest of a model is marked")}
${publishedTable()}
<footer>compact-train ${escape(report.machine.version)} · ${escape(report.createdAt.slice(0, 10))} · every number on this page is in
report.json. Published figures: Shamshoum et al., CompAct, NAACL 2025 (arXiv 2410.15352), tables 2 to 4.</footer>
</main>
<div id="tip" aria-hidden="true" hidden></div>
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
