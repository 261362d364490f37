/** What the CUDA backend is to reach on an H200, each with the figure that decides it. */
import type { DeviceLimits } from '../device-limits.js';
import { cellName, type Contender, type GpuGrid, type GridSize } from './grid.js';
import { cellRows, measured, type GpuRow } from './gpu-rows.js';
import { floorUs, kernelPredictions, predictedUs } from './predictions.js';
import { plannedPeak, predictedStepMs } from './step-predictions.js';

export interface TargetRow {
  readonly title: string;
  readonly target: string;
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
const m350 = size('llama-350m', 128);
const b1 = size('llama-1b', 64);
const b7 = size('llama-7b', 2, 2048);

const stepTargets: readonly (readonly [GridSize, string, string, number])[] = [
  [m350, 'C0', 'B1', 0.95],
  [b1, 'C0', 'B1', 0.95],
  [b7, 'C0', 'B1', 0.95],
  ...[m350, b1, b7].flatMap((of) => [[of, 'C1-4', 'C0', 0.9] as const, [of, 'C1-8', 'C0', 0.84] as const]),
];

const memoryTargets: readonly (readonly [GridSize, string, string, number])[] = [
  [m350, 'C1-4', 'B1', 0.78],
  [b1, 'C1-4', 'B1', 0.72],
  [b7, 'C1-4', 'B1', 0.6],
  [m350, 'C2-4', 'B2', 1],
  [b1, 'C2-4', 'B2', 0.85],
  [b7, 'C2-4', 'B2', 0.62],
];

/** Kernel, shape, most microseconds. */
const kernelTargets: readonly (readonly [string, string, number])[] = [
  ['P panel', '4096x1024', 6],
  ['P panel', '11008x2752', 37.9],
  ['update W -= s P N', '4096x4096 rank 1024', 58],
];

/** Kernel and least share of its floor. */
const shareTargets: readonly (readonly [string, number])[] = [
  ['y = x W', 0.9],
  ['dX = dY W^T', 0.9],
  ['low-rank Adam', 0.8],
  ['RMSNorm', 0.8],
  ['SwiGLU', 0.8],
  ['SwiGLU backward', 0.8],
];

export function targetRows(grid: GpuGrid, rows: readonly GpuRow[], limits: DeviceLimits): TargetRow[] {
  const of = (id: string): Contender => grid.contenders.find((contender) => contender.id === id)!;
  const cell = (at: GridSize, id: string) => measured(cellRows(rows, cellName(at, id)));
  const kernelRows = (kernel: string, shape?: string) =>
    measured(
      rows.filter(
        (row) => row.provider === 'own' && row.kernel === kernel && (shape ?? row.shape) === row.shape,
      ),
    );
  const quotient = (a: number | null | undefined, b: number | null | undefined): string | undefined =>
    a === undefined || b === undefined || a === null || b === null ? undefined : (a / b).toFixed(2);
  const name = ({ model, batch, sequence }: GridSize): string =>
    `${model}, ${(batch * sequence).toLocaleString('en')} tokens`;
  return [
    ...kernelTargets.map(([kernel, shape, most]): TargetRow => {
      const known = kernelPredictions.find((one) => one.kernel === kernel && one.shape === shape)!;
      return {
        title: `${kernel}, ${shape}`,
        target: `at most ${most} us`,
        predicted: `${predictedUs(known, limits).toFixed(1)} us`,
        found: kernelRows(kernel, shape)?.p50.toFixed(1),
      };
    }),
    ...shareTargets.map(([kernel, least]): TargetRow => {
      const known = kernelPredictions.find((one) => one.kernel === kernel)!;
      const found = kernelRows(kernel);
      return {
        title: `${kernel}, share of its floor`,
        target: `at least ${least}`,
        predicted: known.share.toFixed(2),
        found: found && (floorUs(known, limits) / found.p50).toFixed(2),
      };
    }),
    ...stepTargets.map(([at, id, against, most]): TargetRow => ({
      title: `step of ${id} over ${against}, ${name(at)}`,
      target: `at most ${most}`,
      predicted: quotient(
        predictedStepMs(at, of(id), limits), predictedStepMs(at, of(against), limits),
      )!, // prettier-ignore
      found: quotient(cell(at, id)?.p50, cell(at, against)?.p50),
    })),
    ...memoryTargets.map(([at, id, against, most]): TargetRow => ({
      title: `peak of ${id} over ${against}, ${name(at)}`,
      target: `at most ${most}`,
      predicted: quotient(
        plannedPeak(at, of(id))!.peakBytes, plannedPeak(at, of(against))!.peakBytes,
      )!, // prettier-ignore
      found: quotient(cell(at, id)?.last.memory?.tensors, cell(at, against)?.last.memory?.tensors),
    })),
    {
      title: `share of the step between kernels, C1-4, ${name(m60)}`,
      target: 'below 0.03',
      predicted: '',
      found: cell(m60, 'C1-4')?.last.launchGaps?.share.toFixed(3),
    },
    {
      title: 'tokens/s of C2-4 over B1 at 24 GB, llama-350m, each at its largest batch',
      target: 'at least 1.2',
      predicted: '',
      found: quotient(
        measured(cellRows(rows, 'llama-350m-24GB/C2-4/bf16'))?.last.tokensPerSecond,
        measured(cellRows(rows, 'llama-350m-24GB/B1/bf16'))?.last.tokensPerSecond,
      ),
    },
  ];
}
