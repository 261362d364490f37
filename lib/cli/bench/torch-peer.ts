import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { llamaPresets, type LlamaPreset } from '../../models/index.js';
import { packageDirectory } from '../package-info.js';

const run = promisify(execFile);
const script = join(packageDirectory, 'bench', 'peers', 'step_time.py');

export interface PeerRow {
  readonly dtype: 'f32' | 'bf16';
  readonly mode: 'eager' | 'compile';
  readonly loss: 'full' | 'chunked';
  readonly p20: number; // milliseconds
  readonly p50: number;
  readonly p80: number;
  readonly repeats: number;
  readonly skipped?: string;
}

export type PeerResult =
  | { readonly torch: string; readonly rows: readonly PeerRow[]; readonly skipped?: undefined }
  | { readonly skipped: string };

/** Times the same step in PyTorch, or says why it cannot. */
export async function timeTorchPeer(options: {
  readonly model: LlamaPreset;
  readonly batch: number;
  readonly sequence: number;
  readonly threads: number;
  readonly dtypes: readonly string[];
  readonly modes: readonly string[];
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
  const shape = {
    vocab: vocabSize,
    hidden: hiddenSize,
    ffn: intermediateSize,
    heads: numAttentionHeads,
    layers: numHiddenLayers,
    batch: options.batch,
    sequence: options.sequence,
    threads: options.threads,
    steps: options.steps,
    dtypes: options.dtypes.join(),
    modes: options.modes.join(),
  };
  const flags = Object.entries(shape).flatMap(([name, value]) => [`--${name}`, String(value)]);
  try {
    const { stdout } = await run('python3', [script, ...flags]);
    return JSON.parse(stdout) as PeerResult;
  } catch (error) {
    return { skipped: `the peer program failed: ${(error as Error).message.split('\n')[0]}` };
  }
}
