import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { llamaPresets, type LlamaPreset } from '../../models/index.js';
import { packageDirectory } from '../package-info.js';
import { quantiles } from './quantiles.js';

const run = promisify(execFile);
const script = join(packageDirectory, 'bench', 'peers', 'cell.py');

const modes = ['eager', 'compile'] as const;
/** Tokens whose logits exist at once: all, as plain PyTorch code has them, or as many as here. */
const lossChunks = { full: 0, chunked: 1024 } as const;

export interface PeerRow {
  readonly dtype: 'f32' | 'bf16';
  readonly mode: (typeof modes)[number];
  readonly loss: keyof typeof lossChunks;
  readonly p20: number; // milliseconds
  readonly p50: number;
  readonly p80: number;
  readonly repeats: number;
}

/** What the peer program prints (bench/peers/cell.py). */
type Cell =
  | { readonly torch: string; readonly msPerStep: readonly number[] }
  | { readonly skipped?: string; readonly failed?: string };

export type PeerResult =
  | { readonly torch: string; readonly rows: readonly PeerRow[]; readonly skipped?: undefined }
  | { readonly skipped: string };

/** Times the same step in PyTorch, or says why it cannot. Each variant is a process of its own. */
export async function timeTorchPeer(options: {
  readonly model: LlamaPreset;
  readonly batch: number;
  readonly sequence: number;
  readonly threads: number;
  readonly dtype: 'f32' | 'bf16';
  readonly compile: boolean;
  readonly steps: number;
}): Promise<PeerResult> {
  if (!existsSync(script))
    return { skipped: 'the peer program comes with the repository, not with the package' };
  try {
    await run('python3', ['-c', 'import torch']);
  } catch {
    return { skipped: 'python3 with torch was not found' };
  }
  const { vocabSize, hiddenSize, intermediateSize, numAttentionHeads, numHiddenLayers } =
    llamaPresets[options.model];
  const { batch, sequence, threads, dtype, steps } = options;
  const shape = {
    vocab: vocabSize,
    hidden: hiddenSize,
    ffn: intermediateSize,
    heads: numAttentionHeads,
    layers: numHiddenLayers,
    ...{ batch, sequence, threads, dtype, steps },
    warmup: 3,
  };
  const rows: PeerRow[] = [];
  let torch = '';
  let problem: string | undefined;
  for (const mode of options.compile ? modes : modes.slice(0, 1))
    for (const loss of ['full', 'chunked'] as const) {
      const cell = await runCell({ ...shape, mode, chunk: lossChunks[loss] });
      if ('msPerStep' in cell) {
        const { msPerStep } = cell;
        torch = cell.torch;
        rows.push({ dtype, mode, loss, ...quantiles(msPerStep), repeats: msPerStep.length });
      } else {
        problem ??= cell.failed ?? cell.skipped;
      }
    }
  return rows.length > 0 ? { torch, rows } : { skipped: `the peer program failed: ${problem}` };
}

async function runCell(flags: Readonly<Record<string, string | number>>): Promise<Cell> {
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  try {
    const { stdout } = await run('python3', [script, ...words]);
    return JSON.parse(stdout) as Cell;
  } catch (error) {
    return { failed: (error as Error).message.split('\n')[0] };
  }
}
