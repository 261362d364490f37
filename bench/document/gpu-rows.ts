import { existsSync, readFileSync } from 'node:fs';
import type { LaunchGaps } from '../commands/launch-gaps.js';

/** Our kernels as the device chooses them, those of warpgroups, with cuBLASLt's products, and PyTorch's operations. */
export type KernelProvider = 'own' | 'warpgroups' | 'vendor' | 'torch';

/** A row of the ledger that scripts/gpu-bench writes; what a case does not have is absent. */
export interface GpuRow {
  readonly case: 'gpu-step' | 'gpu-kernel' | 'gpu-probe' | 'gpu-quality';
  readonly cell: string;
  readonly contender?: string;
  readonly turn?: number;
  readonly device: string;
  readonly commit: string;
  readonly date: string;
  readonly skipped?: string;
  readonly failed?: string;
  readonly fits?: boolean;
  readonly p25?: number;
  readonly p50?: number;
  readonly p75?: number;
  // Steps: milliseconds, bytes.
  readonly batch?: number;
  readonly tokensPerSecond?: number;
  readonly refreshStepMs?: number;
  readonly memory?: {
    readonly tensors: number | null;
    readonly pool: number | null;
    readonly process?: number | null;
  };
  /** Of our own cells of the smallest model (../commands/launch-gaps.ts). */
  readonly launchGaps?: LaunchGaps;
  /** Of the first warm-up step and of the last timed one. */
  readonly loss?: { readonly first: number; readonly last: number };
  // Quality: a short training on text.
  readonly steps?: number;
  readonly firstLoss?: number;
  readonly lastLoss?: number;
  /** Of all steps: the loss beside the CPU's, as a share of it. Absent for peers. */
  readonly largestDifference?: number;
  // Kernels: microseconds.
  readonly provider?: KernelProvider;
  readonly kernel?: string;
  readonly op?: string; // of ours
  readonly shape?: string;
  readonly variant?: string;
}

/** What all turns of one cell, or of one kernel, say together. */
export interface Measured {
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  /** False when the last two medians differ by more than 2 %. */
  readonly steady: boolean;
  readonly last: GpuRow;
}

const steadyShare = 0.02;

export function readGpuRows(file: string): GpuRow[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      try {
        return JSON.parse(line) as GpuRow;
      } catch {
        throw new Error(`${file}: line ${index + 1} is not JSON`);
      }
    });
}

/** The rows of one device at the commit that was measured last: figures of two commits are never mixed. */
export function latestOf(device: string, rows: readonly GpuRow[]): GpuRow[] {
  const own = rows.filter((row) => row.device === device);
  const commit = own.toSorted((a, b) => a.date.localeCompare(b.date)).at(-1)?.commit;
  return own.filter((row) => row.commit === commit);
}

/** Median of the turns' medians; undefined when nothing was measured. */
export function measured(rows: readonly GpuRow[]): Measured | undefined {
  const timed = rows.filter((row) => row.p50 !== undefined);
  const last = timed.at(-1);
  if (last === undefined) return undefined;
  const [before, after] = [timed.at(-2)?.p50, last.p50!];
  return {
    p25: median(timed.map((row) => row.p25!)),
    p50: median(timed.map((row) => row.p50!)),
    p75: median(timed.map((row) => row.p75!)),
    steady: before !== undefined && Math.abs(after - before) <= steadyShare * Math.min(after, before),
    last,
  };
}

export const cellRows = (rows: readonly GpuRow[], cell: string): GpuRow[] =>
  rows.filter((row) => row.cell === cell && row.case === 'gpu-step');

/** The last row with losses of a cell of the quality table. */
export const qualityRow = (rows: readonly GpuRow[], cell: string): GpuRow | undefined =>
  rows.findLast((row) => row.cell === cell && row.lastLoss !== undefined);

/** All turns of one kernel; `variant` tells apart the ways in which PyTorch does it. */
export const kernelTime = (
  rows: readonly GpuRow[],
  provider: KernelProvider,
  { kernel, shape }: { readonly kernel: string; readonly shape: string },
  variant?: string,
): Measured | undefined =>
  measured(
    rows.filter(
      (row) =>
        row.provider === provider &&
        row.kernel === kernel &&
        row.shape === shape &&
        (variant === undefined || row.variant === variant),
    ),
  );

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
