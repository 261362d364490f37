/** What the CUDA backend is to reach on an H200, each with the figure that decides it. */
import type { DeviceLimits } from '../../lib/cli/bench/steps/device-limits.js';
import {
  capCellName,
  cellName,
  qualityCellName,
  type Contender,
  type GpuGrid,
  type GridSize,
} from './grid.js';
import { cellRows, kernelTime, measured, qualityRow, type GpuRow } from './gpu-rows.js';
import {
  type KernelPrediction,
  kernelPredictions,
  predictedShareOfLibrary,
  predictedTorchUpdateUs,
  predictedUs,
} from './predictions.js';
import { plannedPeak, predictedStepMs, predictedTokensPerSecond } from './step-predictions.js';

export interface TargetRow {
  readonly title: string;
  readonly target: string;
  /** Empty where nothing is predicted. */
  readonly predicted: string;
  /** Undefined when what it takes was not measured. */
  readonly found: string | undefined;
}

const size = (model: GridSize['model'], batch: number, sequence = 256): GridSize => ({
  model,
  batch,
  sequence,
});
const m60 = size('llama-60m', 256);
const m130 = size('llama-130m', 256);
const m350 = size('llama-350m', 128);
const b1 = size('llama-1b', 64);
const b7 = size('llama-7b', 2, 2048);

type Ratio = readonly [at: GridSize, id: string, against: string, most: number];

const stepTargets: readonly Ratio[] = [
  [m350, 'C0', 'B1', 0.95],
  [b1, 'C0', 'B1', 0.95],
  [b7, 'C0', 'B1', 0.95],
  ...[m350, b1, b7].flatMap((of) => [[of, 'C1-4', 'C0', 0.9] as const, [of, 'C1-8', 'C0', 0.84] as const]),
];

const memoryTargets: readonly Ratio[] = [
  [m350, 'C1-4', 'B1', 0.78],
  [b1, 'C1-4', 'B1', 0.72],
  [b7, 'C1-4', 'B1', 0.6],
];

/** The highest of the peaks of all ranks over that of B2. */
const lazyTargets: readonly (readonly [GridSize, number])[] = [
  [m60, 1],
  [m130, 1],
  [m350, 1],
  [b1, 0.85],
  [b7, 0.62],
];
const lazy = ['C2-2', 'C2-4', 'C2-8'] as const;

/** Kernel, shape, most microseconds, and what that is. */
const kernelTargets: readonly (readonly [string, string, number, string])[] = [
  ['P panel', '4096x1024', 6, ''],
  ['P panel', '11008x2752', 37.9, ' (0.8e12 values/s)'],
  ['update W -= s P N', '4096x4096 rank 1024', 58, ''],
];

const libraryTargets = ['y = x W', 'dX = dY W^T', 'z = x P'] as const;
const mostOfTorchUpdate = 0.6;
const leastOfCopy = 0.8;
const cap = { model: 'llama-350m', sequence: 256, gigabytes: 24 } as const;
const mostDifference = 0.01;

const quotient = (a: number | null | undefined, b: number | null | undefined): string | undefined =>
  a === undefined || b === undefined || a === null || b === null ? undefined : (a / b).toFixed(2);

const name = ({ model, batch, sequence }: GridSize): string =>
  `${model}, ${(batch * sequence).toLocaleString('en')} tokens`;

/** `limits` are those of the device of the rows; without them nothing is predicted. */
export function targetRows(
  grid: GpuGrid,
  rows: readonly GpuRow[],
  limits: DeviceLimits | undefined,
): TargetRow[] {
  return [
    ...kernelTargetRows(rows, limits),
    ...stepTargetRows(grid, rows, limits),
    ...memoryTargetRows(grid, rows),
    {
      title: `share of the step between kernels, C1-4, ${name(m60)}`,
      target: 'below 0.03',
      predicted: '',
      found: measured(cellRows(rows, cellName(m60, 'C1-4')))?.last.launchGaps?.share.toFixed(3),
    },
    ...capTargetRows(grid, rows, limits),
    ...qualityTargetRows(grid, rows),
  ];
}

const kernelNamed = (kernel: string, shape?: string): KernelPrediction =>
  kernelPredictions.find((one) => one.kernel === kernel && (shape ?? one.shape) === one.shape)!;

function kernelTargetRows(rows: readonly GpuRow[], limits: DeviceLimits | undefined): TargetRow[] {
  const update = kernelNamed('update W -= s P N');
  const copy = kernelNamed('copy');
  // Of all that copied in this run: a slow copy of ours would flatter the rest.
  const copyUs = Math.min(
    ...(['own', 'torch'] as const).map((provider) => kernelTime(rows, provider, copy)?.p50 ?? Infinity),
  );
  return [
    ...kernelTargets.map(([kernel, shape, most, words]): TargetRow => {
      const known = kernelNamed(kernel, shape);
      return {
        title: `${kernel}, ${shape}`,
        target: `at most ${most} us${words}`,
        predicted: limits ? `${predictedUs(known, limits).toFixed(1)} us` : '',
        found: kernelTime(rows, 'own', known)?.p50.toFixed(1),
      };
    }),
    {
      title: `${update.kernel}, ${update.shape}, over randn, product and addition in PyTorch`,
      target: `at most ${mostOfTorchUpdate}`,
      predicted: limits ? quotient(predictedUs(update, limits), predictedTorchUpdateUs(limits))! : '',
      found: quotient(
        kernelTime(rows, 'own', update)?.p50,
        kernelTime(rows, 'torch', update, 'randn, product, add')?.p50,
      ),
    },
    ...libraryTargets.flatMap((kernel) => {
      const known = kernelNamed(kernel);
      const library = kernelTime(rows, 'torch', known)?.p50;
      const row = (provider: 'vendor' | 'warpgroups', words: string, target: string): TargetRow => ({
        title: `${kernel} ${words}, share of cuBLASLt's rate`,
        target,
        predicted: limits ? predictedShareOfLibrary(known, provider, limits).toFixed(2) : '',
        found: quotient(library, kernelTime(rows, provider, known)?.p50),
      });
      return [
        row('vendor', 'with cuBLASLt', 'at least 0.95'),
        row('warpgroups', 'by our warpgroups', 'at least 0.8, then 0.9'),
      ];
    }),
    ...kernelPredictions
      .filter(({ kernel, flops, values }) => flops === 0 && values === undefined && kernel !== 'copy')
      .map((known): TargetRow => {
        const us = kernelTime(rows, 'own', known)?.p50;
        const share = us && known.bytes / us / (copy.bytes / copyUs);
        return {
          title: `${known.kernel}, share of the bandwidth of a copy`,
          target: `at least ${leastOfCopy}`,
          predicted: limits ? (known.share / copy.share).toFixed(2) : '',
          found: share === undefined || copyUs === Infinity ? undefined : share.toFixed(2),
        };
      }),
  ];
}

function stepTargetRows(
  grid: GpuGrid,
  rows: readonly GpuRow[],
  limits: DeviceLimits | undefined,
): TargetRow[] {
  const ms = (at: GridSize, id: string) => measured(cellRows(rows, cellName(at, id)))?.p50;
  const predicted = (at: GridSize, id: string) => limits && predictedStepMs(at, contender(grid, id), limits);
  return stepTargets.map(([at, id, against, most]) => ({
    title: `step of ${id} over ${against}, ${name(at)}`,
    target: `at most ${most}`,
    predicted: quotient(predicted(at, id), predicted(at, against)) ?? '',
    found: quotient(ms(at, id), ms(at, against)),
  }));
}

function memoryTargetRows(grid: GpuGrid, rows: readonly GpuRow[]): TargetRow[] {
  const bytes = (at: GridSize, id: string) =>
    measured(cellRows(rows, cellName(at, id)))?.last.memory?.tensors ?? undefined;
  const planned = (at: GridSize, id: string) => plannedPeak(at, contender(grid, id))!.peakBytes;
  return [
    ...memoryTargets.map(([at, id, against, most]) => ({
      title: `peak of ${id} over ${against}, ${name(at)}`,
      target: `at most ${most}`,
      predicted: quotient(planned(at, id), planned(at, against))!,
      found: quotient(bytes(at, id), bytes(at, against)),
    })),
    ...lazyTargets.map(([at, most]) => {
      const found = lazy.map((id) => bytes(at, id));
      return {
        title: `highest peak of ${lazy.join(', ')} over B2, ${name(at)}`,
        target: `at most ${most}`,
        predicted: quotient(Math.max(...lazy.map((id) => planned(at, id))), planned(at, 'B2'))!,
        found: found.every((one) => one !== undefined)
          ? quotient(Math.max(...found), bytes(at, 'B2'))
          : undefined,
      };
    }),
  ];
}

function capTargetRows(
  grid: GpuGrid,
  rows: readonly GpuRow[],
  limits: DeviceLimits | undefined,
): TargetRow[] {
  const { model, gigabytes } = cap;
  const found = (id: string) =>
    measured(cellRows(rows, capCellName(model, gigabytes, id)))?.last.tokensPerSecond;
  const predicted = (id: string) =>
    limits && predictedTokensPerSecond(cap, contender(grid, id), gigabytes * 1e9, limits);
  return ['C1-4', 'C2-4'].map((id) => ({
    title: `tokens/s of ${id} over B1 at ${gigabytes} GB, ${model}, each at its largest batch`,
    target: 'at least 1.2',
    predicted: quotient(predicted(id), predicted('B1')) ?? '',
    found: quotient(found(id), found('B1')),
  }));
}

function qualityTargetRows(grid: GpuGrid, rows: readonly GpuRow[]): TargetRow[] {
  const { model, steps, learningRates } = grid.quality;
  return Object.keys(learningRates)
    .filter((id) => contender(grid, id).method !== undefined)
    .map((id) => {
      const difference = qualityRow(rows, qualityCellName(grid, id))?.largestDifference;
      return {
        title: `losses of ${id}, ${model}, ${steps} steps: largest difference from the CPU's`,
        target: `at most ${100 * mostDifference} %`,
        predicted: '',
        found: difference === undefined ? undefined : `${(100 * difference).toFixed(2)} %`,
      };
    });
}

const contender = ({ contenders }: GpuGrid, id: string): Contender =>
  contenders.find((one) => one.id === id)!;
