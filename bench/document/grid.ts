import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LlamaPreset } from '../../lib/models/index.js';
import { packageDirectory } from '../../lib/cli/package-info.js';

/** The cells that scripts/gpu-bench runs, as it reads them. */
export interface GpuGrid {
  readonly models: readonly (Readonly<Record<'vocab' | 'hidden' | 'ffn' | 'heads' | 'layers', number>> & {
    readonly name: LlamaPreset;
  })[];
  readonly quality: GridSize & {
    readonly steps: number;
    /** By contender. */
    readonly learningRates: Readonly<Record<string, number>>;
  };
  readonly sizes: readonly GridSize[];
  readonly caps: readonly {
    readonly model: LlamaPreset;
    readonly sequence: number;
    readonly gigabytes: number;
  }[];
  readonly contenders: readonly Contender[];
}

export interface GridSize {
  readonly model: LlamaPreset;
  readonly batch: number; // sequences
  readonly sequence: number;
}

/** A program of PyTorch, or a method of ours. */
export interface Contender {
  readonly id: string;
  readonly title: string;
  readonly program?: string;
  readonly method?: 'dense' | 'compact';
  readonly rankRatio?: number;
  readonly store?: 'stored' | 'lazy';
  readonly recompute?: 'cheap';
  readonly blas?: string;
  /** Of the optimizer's moments; default bf16. */
  readonly states?: readonly ('bf16' | 'f32')[];
  readonly caps?: boolean;
}

export const readGrid = (): GpuGrid =>
  JSON.parse(readFileSync(join(packageDirectory, 'bench', 'gpu', 'grid.json'), 'utf8')) as GpuGrid;

export const cellName = ({ model, batch, sequence }: GridSize, contender: string, states = 'bf16'): string =>
  `${model}-${batch}x${sequence}/${contender}/${states}`;

export const capCellName = (model: string, gigabytes: number, contender: string): string =>
  `${model}-${gigabytes}GB/${contender}/bf16`;

export const qualityCellName = ({ quality }: GpuGrid, contender: string): string =>
  `quality/${cellName(quality, contender)}`;
