/** Tables of docs/benchmarks.md, as Markdown. */
import type { DeviceLimits } from '../../lib/cli/bench/steps/device-limits.js';
import { capCellName, cellName, qualityCellName, type GpuGrid, type GridSize } from './grid.js';
import { cellRows, kernelTime, measured, qualityRow, type GpuRow, type Measured } from './gpu-rows.js';
import { floorUs, type KernelPrediction, kernelPredictions, predictedUs } from './predictions.js';
import { plannedPeak, predictedStepMs } from './step-predictions.js';

export const notRun = 'not run';

export function markdownTable(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [row(heads), `|${'---|'.repeat(heads.length)}`, ...lines.map(row)].join('\n');
}

/** Why a cell has no figure, in the words of the ledger. */
export function reasonOf(rows: readonly GpuRow[]): string {
  const last = rows.at(-1);
  if (last === undefined) return notRun;
  if (last.fits === false) return 'does not fit';
  return last.skipped === undefined ? `failed: ${last.failed}` : `skipped: ${last.skipped}`;
}

const gigabytes = (bytes: number | null | undefined): string =>
  bytes === null || bytes === undefined ? '' : (bytes / 1e9).toFixed(1);

/** Two digits after the point below ten, so that small and large figures can stand in one column. */
const figure = (value: number | undefined): string =>
  value === undefined ? '' : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

const spread = ({ p25, p50, p75, steady }: Measured): string =>
  `${figure(p50)} (${figure(p25)} - ${figure(p75)})${steady ? '' : ', unsteady'}`;

/** All contenders on one size: those with a figure or a prediction in the table, the others named below it. */
export function stepTable(
  grid: GpuGrid,
  size: GridSize,
  rows: readonly GpuRow[],
  limits: DeviceLimits | undefined,
): string {
  const base = measured(cellRows(rows, cellName(size, 'B1')));
  const lines: string[][] = [];
  const others: string[] = [];
  for (const states of ['bf16', 'f32'] as const)
    for (const contender of grid.contenders) {
      if (!(contender.states ?? ['bf16']).includes(states)) continue;
      const own = cellRows(rows, cellName(size, contender.id, states));
      const found = measured(own);
      const predicted = limits && predictedStepMs(size, contender, limits);
      const planned = plannedPeak(size, contender, states)?.peakBytes;
      if (own.length === 0 && predicted === undefined) {
        if (states === 'bf16') others.push(`${contender.id} (${contender.title})`);
        continue;
      }
      const { memory, tokensPerSecond, refreshStepMs, loss } = found?.last ?? {};
      const refresh = refreshStepMs === undefined ? '' : `; ${figure(refreshStepMs)} with a new basis`;
      lines.push([
        contender.id,
        contender.title,
        states,
        figure(predicted),
        found === undefined ? reasonOf(own) : spread(found) + refresh,
        found === undefined || base === undefined ? '' : (found.p50 / base.p50).toFixed(2),
        tokensPerSecond === undefined ? '' : Math.round(tokensPerSecond).toLocaleString('en'),
        loss === undefined ? '' : loss.last.toFixed(3),
        gigabytes(planned),
        memory === undefined
          ? ''
          : [memory.tensors, memory.pool, memory.process].map((n) => gigabytes(n) || '?').join(' / '),
      ]);
    }
  const heads = [
    '', 'contender', 'states', 'predicted ms', 'measured ms', 'of B1', 'tokens/s', 'loss', 'planned GB', 'measured GB',
  ]; // prettier-ignore
  const rest = others.length === 0 ? '' : `\n\nNot run, and without a prediction: ${others.join(', ')}.`;
  return markdownTable(heads, lines) + rest;
}

/** Who else can multiply for a kernel: a vendor's library all but updates in place, warpgroups all but attention. */
function multiplies(provider: 'vendor' | 'warpgroups', { kernel, flops }: KernelPrediction): boolean {
  if (flops === 0 || kernel.startsWith('attention')) return false;
  return provider === 'warpgroups' || !kernel.startsWith('update');
}

/** Ours beside PyTorch's, beside the floor. */
export function kernelTable(rows: readonly GpuRow[], limits: DeviceLimits | undefined): string {
  const copy = kernelPredictions.find(({ kernel }) => kernel === 'copy')!;
  const copyUs = kernelTime(rows, 'own', copy)?.p50;
  const lines = kernelPredictions.map((prediction) => {
    const own = kernelTime(rows, 'own', prediction);
    const other = (provider: 'vendor' | 'warpgroups'): string =>
      multiplies(provider, prediction) ? figure(kernelTime(rows, provider, prediction)?.p50) || notRun : '';
    const theirs = rows.filter(
      ({ provider, kernel, shape }) =>
        provider === 'torch' && kernel === prediction.kernel && shape === prediction.shape,
    );
    const floor = limits && floorUs(prediction, limits);
    const ofCopy =
      own && copyUs && prediction.flops === 0 && prediction.values === undefined
        ? prediction.bytes / own.p50 / (copy.bytes / copyUs)
        : undefined;
    return [
      prediction.kernel,
      prediction.shape,
      figure(floor),
      figure(limits && predictedUs(prediction, limits)),
      own === undefined ? notRun : spread(own),
      own === undefined || floor === undefined ? '' : percent(floor / own.p50),
      ofCopy === undefined ? '' : percent(ofCopy),
      other('warpgroups'),
      other('vendor'),
      [...new Set(theirs.map(({ variant = '' }) => variant))]
        .map((variant) => {
          const of = kernelTime(rows, 'torch', prediction, variant);
          return `${figure(of?.p50)}${variant === '' ? '' : ` (${variant})`}`;
        })
        .join(', ') || notRun,
    ];
  });
  const heads = [
    'kernel', 'shape', 'floor us', 'predicted us', 'measured us', 'of floor', 'of copy', 'warpgroups us', 'cuBLASLt us',
    'PyTorch us',
  ]; // prettier-ignore
  return markdownTable(heads, lines);
}

/** What a short training on text comes to, beside the CPU's. */
export function qualityTable(grid: GpuGrid, rows: readonly GpuRow[]): string {
  const lines = Object.entries(grid.quality.learningRates).map(([id, learningRate]) => {
    const { title } = grid.contenders.find((one) => one.id === id)!;
    const cell = qualityCellName(grid, id);
    const found = qualityRow(rows, cell);
    if (found === undefined) {
      const reason = reasonOf(rows.filter((row) => row.cell === cell));
      return [id, title, String(learningRate), reason, '', ''];
    }
    const { firstLoss, lastLoss, largestDifference } = found;
    return [
      id,
      title,
      String(learningRate),
      firstLoss!.toFixed(4),
      lastLoss!.toFixed(4),
      largestDifference === undefined ? '' : `${(100 * largestDifference).toFixed(2)} %`,
    ];
  });
  const heads = [
    '',
    'contender',
    'learning rate',
    'first loss',
    'last loss',
    "largest difference from the CPU's",
  ];
  return markdownTable(heads, lines);
}

/** The largest batch under a memory cap, and what it is worth in tokens a second. */
export function capTable(grid: GpuGrid, rows: readonly GpuRow[]): string {
  const lines = grid.caps.flatMap(({ model, gigabytes: cap }) =>
    grid.contenders
      .filter(({ caps }) => caps)
      .map(({ id, title }) => {
        const own = cellRows(rows, capCellName(model, cap, id));
        const found = measured(own)?.last;
        return [
          model,
          `${cap} GB`,
          `${id}, ${title}`,
          found === undefined ? reasonOf(own) : String(found.batch),
          found === undefined ? '' : Math.round(found.tokensPerSecond!).toLocaleString('en'),
        ];
      }),
  );
  return markdownTable(['model', 'cap', 'contender', 'largest batch', 'tokens/s'], lines);
}
