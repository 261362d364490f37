/** docs/benchmarks.md, its pictures, and the generated parts of docs/kernels.md: from the ledger and nothing else. */
import { peakBars } from '../../lib/cli/bench/memory/charts/peak-bars.js';
import { standalone } from '../../lib/cli/bench/charts/standalone.js';
import { text, translate } from '../../lib/cli/bench/charts/svg.js';
import { gpuLimits } from '../../lib/cli/bench/steps/gpu-limits.js';
import { cellName, readGrid, type GpuGrid, type GridSize } from './grid.js';
import { cellRows, kernelTime, latestOf, measured, type GpuRow } from './gpu-rows.js';
import { kernelPredictions, floorUs, predictedUs } from './predictions.js';
import { roofline } from './roofline.js';
import { stepBars, type StepBar } from './step-bars.js';
import { plannedPeak, predictedStepMs } from './step-predictions.js';
import { capTable, kernelTable, markdownTable, notRun, qualityTable, stepTable } from './tables.js';
import { targetRows } from './targets.js';

const reference = 'NVIDIA H200';
const pictured: GridSize = { model: 'llama-350m', batch: 128, sequence: 256 };

const introduction = `# Benchmarks on NVIDIA GPUs

Written by \`npm run docs:benchmarks\` from [the ledger](../bench/results/gpu.jsonl) alone (\`-- --check\` compares the two). A cell
that no ledger row stands for reads "not run". **Predictions are arithmetic, not measurements.**

## How to repeat it

\`\`\`
scripts/gpu-bench --slice-seconds 600                   # ten minutes; again until nothing is left
scripts/gpu-bench --only 'llama-350m-128x256/*/bf16'    # one table; any name of a cell or part of one
scripts/gpu-bench --only kernels
npm run docs:benchmarks                                 # this page and its pictures
\`\`\`

Any NVIDIA GPU will do: rows of another device make a section of their own. It needs \`npm install\` with nvcc 13 for ours
and PyTorch for the peers ([programs](../bench/peers)). Every cell is a process of its own; all train on the same tokens,
with the same chunked cross-entropy, bf16 weights, and moments as the table says; GaLore and APOLLO have a basis of rank
n/4 on the shorter side. After 8 warm-up steps 20 steps are timed with CUDA events: median and quartiles. Contenders take
turns, every cell runs twice, up to four times while its last two medians differ by more than 2 %, and is called unsteady
when they still do. Memory in three numbers: bytes of tensors (ours: of the plan) / bytes that the allocator holds / what
the process took of the GPU (nvidia-smi, context included). Clocks and power are in the ledger. Ours multiply with the
cuBLASLt that PyTorch uses, unless a title says own products.

A speed counts for nothing without its loss. Timed steps all train on one batch of random tokens; the loss beside them is
that of the last step. The table of losses is of a training on text, byte by byte at a constant learning rate, from the
same weights on the same batches: ours is held against the losses that a CPU had for the same seeds
([recorded](../bench/results/quality-cpu.jsonl) by \`scripts/gpu-bench --record-reference\`), PyTorch stands beside it.
Compact's learning rate times its update scale is that of dense, so its embeddings, head and norms learn at four times
dense's rate: the table tells whether a GPU trains as a CPU does, and does not compare methods (that is \`bench quality\`).
`;

const assumptions = `**Nobody has measured whether the predictions for our own kernels hold.** They were made before the instructions of main
loops were [counted](kernels.md#instructions-of-main-loops). By these counts products wait neither for issue nor for shared
memory; attention backward still makes seven products where five would do. Rows whose width is odd, such as the
feed-forward layers of llama-1b (5461), take a slower path on top, ours and cuBLASLt alike, where a compiled PyTorch pads.
Targets that a prediction seems to reach are not reached by that.

Predicted times: floors of arithmetic and traffic divided by the share expected of them. Ours: products 90 % of the
tensor cores, x P 82 %, compressed gradient 80 %, update 75 %, attention 42 %, element-wise 85 % of the bandwidth,
25 launches of 2 us a layer. PyTorch: products 85 %, element-wise 75 %, 0.35e12 normal numbers a second. Products of our
warpgroups (\`COMPACT_CUDA_WARPGROUPS=1\`): 75 % of cuBLASLt's rate. Planned GB are those of our planner, for exact
peers the plan of the same tensors, with bf16 gradients until the optimizer's step. The kernel table predicts the kernels there are
([diary](kernels.md)), the step table what the designs aim at.
`;

export function benchmarksDocument(rows: readonly GpuRow[]): string {
  const grid = readGrid();
  const devices = [...new Set(rows.map(({ device }) => device))];
  const shown = devices.length === 0 ? [reference] : devices;
  return `${introduction}\n${assumptions}\n${shown.map((device) => section(grid, device, rows)).join('\n')}`;
}

function section(grid: GpuGrid, device: string, all: readonly GpuRow[]): string {
  const rows = latestOf(device, all);
  const limits = gpuLimits(device);
  const last = rows.at(-1);
  const when = last === undefined ? notRun : `measured at ${last.commit}, last on ${last.date.slice(0, 10)}`;
  const parts = [`## ${device}: ${when}\n`];
  const targets = targetRows(grid, rows, limits).map(({ title, target, predicted, found }) => [
    title,
    target,
    predicted,
    found ?? notRun,
  ]);
  const set = device === reference ? '' : `, which are set for an ${reference}`;
  parts.push(`### Targets${set}\n\n${markdownTable(['', 'target', 'predicted', 'measured'], targets)}\n`);
  if (device === reference)
    parts.push('![Step times](images/gpu-steps.svg)\n\n![Peak memory by kind](images/gpu-memory.svg)\n');
  parts.push(`### Losses, ${qualityWords(grid)}\n\n${qualityTable(grid, rows)}\n`);
  for (const size of grid.sizes) {
    const tokens = (size.batch * size.sequence).toLocaleString('en');
    const title = `### ${size.model}, ${size.batch} sequences of ${size.sequence} tokens (${tokens} a step)`;
    parts.push(`${title}\n\n${stepTable(grid, size, rows, limits)}\n`);
  }
  parts.push(`### Largest batch under a memory cap\n\n${capTable(grid, rows)}\n`);
  parts.push(`### Kernels, bf16\n\n${kernelTable(rows, limits)}\n`);
  return parts.join('\n');
}

const qualityWords = ({ quality: { model, batch, sequence, steps } }: GpuGrid): string =>
  `${model}, ${steps} steps of ${batch} sequences of ${sequence} tokens`;

/** Pictures by file name. */
export function gpuFigures(rows: readonly GpuRow[]): Record<string, string> {
  return {
    'gpu-steps.svg': stepsFigure(rows),
    'gpu-memory.svg': memoryFigure(rows),
    'gpu-roofline.svg': rooflineFigure(rows),
  };
}

const width = 960;
const inset = 28;

function figure(title: string, subtitle: string, drawing: { svg: string; height: number }): string {
  const height = 92 + drawing.height + inset;
  const svg = [
    text(inset, 40, title, { class: 'headline' }),
    text(inset, 64, subtitle, { class: 'soft' }),
    translate(inset, 92, drawing.svg),
  ].join('');
  return standalone(svg, { width, height }, title);
}

const sizeWords = `${pictured.model}, ${(pictured.batch * pictured.sequence).toLocaleString('en')} tokens, bf16 weights and moments`;

function stepsFigure(all: readonly GpuRow[]): string {
  const rows = latestOf(reference, all);
  const limits = gpuLimits(reference)!;
  const bars = readGrid().contenders.flatMap((contender): StepBar[] => {
    const found = measured(cellRows(rows, cellName(pictured, contender.id)));
    const ms = found?.p50 ?? predictedStepMs(pictured, contender, limits);
    if (ms === undefined) return [];
    return [{ label: `${contender.id}, ${contender.title}`, ms, isMeasured: found !== undefined }];
  });
  const subtitle = `${sizeWords}, ${reference}: milliseconds, and as a share of B1; outlined bars are predicted`;
  return figure('Time of a training step', subtitle, stepBars(bars, width - 2 * inset));
}

function memoryFigure(all: readonly GpuRow[]): string {
  const rows = latestOf(reference, all);
  const plans = readGrid().contenders.flatMap((contender) => {
    const plan = plannedPeak(pictured, contender);
    const found = measured(cellRows(rows, cellName(pictured, contender.id)))?.last.memory?.tensors;
    const variant = `${contender.id}, ${contender.title}`;
    return plan === undefined ? [] : [{ ...plan, variant, measuredBytes: found ?? undefined }];
  });
  const plain = plans[0]!.peakBytes;
  const peaks = plans.map((plan) => ({ ...plan, shareOfPlain: plan.peakBytes / plain }));
  const subtitle = `${sizeWords}: planned bytes at the peak, and as a share of B1; black lines are measured`;
  return figure('Peak memory by kind, planned', subtitle, peakBars(peaks, width - 2 * inset));
}

function rooflineFigure(all: readonly GpuRow[]): string {
  const rows = latestOf(reference, all);
  const roofs = ['H200', 'A100', 'RTX 4090'].map((name) => ({ name, limits: gpuLimits(name)! }));
  const kernels = kernelPredictions
    .filter(({ flops }) => flops > 0)
    .map((prediction) => {
      const found = kernelTime(rows, 'own', prediction)?.p50;
      const { kernel, shape, flops, bytes } = prediction;
      const us = found ?? predictedUs(prediction, roofs[0]!.limits);
      return { name: `${kernel}, ${shape}`, flops, bytes, us, isMeasured: found !== undefined };
    });
  return figure(
    'Rooflines, and the products on an H200',
    'bf16 products and HBM, logarithmic; hollow points are predicted, filled ones measured, below the roof lies what the diary explains',
    roofline(roofs, kernels, width - 2 * inset),
  );
}

/** What each kernel is expected to take on the GPUs of the roofline picture, and took on the first of them. */
export function kernelPredictionTable(all: readonly GpuRow[]): string {
  const rows = latestOf(reference, all);
  const names = ['H200', 'A100', 'RTX 4090'];
  const limits = names.map((name) => gpuLimits(name)!);
  const lines = kernelPredictions.map((kernel) => [
    kernel.kernel,
    kernel.shape,
    ...limits.map((of) => floorUs(kernel, of).toFixed(0)),
    kernel.share.toFixed(2),
    predictedUs(kernel, limits[0]!).toFixed(0),
    kernelTime(rows, 'own', kernel)?.p50.toFixed(0) ?? notRun,
  ]);
  const heads = [
    'kernel',
    'shape',
    ...names.map((name) => `floor ${name}, us`),
    'share expected on H200',
    'predicted H200, us',
    'measured H200, us',
  ];
  return markdownTable(heads, lines);
}
