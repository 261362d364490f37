import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Model } from '../../lib/graph/index.js';

/** Fields of `describe()` of a llama that a file of llama2.c has. */
interface Sizes {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly tieWordEmbeddings: boolean;
}

/**
 * Tokens a second of llama2.c (https://github.com/karpathy/llama2.c) at a model of the same sizes with random weights, on
 * one thread: speed does not depend on what they are.
 * @param source its run.c, which is compiled with -Ofast
 */
export async function llama2cRate(source: string, model: Model, tokens: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'compact-llama2c-'));
  try {
    const program = join(folder, 'run');
    execFileSync('cc', ['-Ofast', '-w', '-o', program, source, '-lm']);
    const sizes = model.describe() as unknown as Sizes;
    writeFileSync(join(folder, 'model.bin'), weightsFile(sizes, tokens));
    writeFileSync(join(folder, 'tokenizer.bin'), tokenizerFile(sizes.vocabSize));
    const rates = Array.from({ length: 3 }, () => rateOf(folder, program, tokens));
    return Math.max(...rates);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function rateOf(folder: string, program: string, tokens: number): number {
  const options = ['-t', '0', '-n', String(tokens), '-z', join(folder, 'tokenizer.bin')];
  const { stderr } = spawnSync(program, [join(folder, 'model.bin'), ...options], { encoding: 'utf8' });
  const rate = Number(/achieved tok\/s: (\S+)/.exec(stderr)?.[1]);
  if (!(rate > 0)) throw new Error(`llama2.c says no rate: ${stderr}`);
  return rate;
}

/** Version 0 of its format: seven sizes, then all weights in f32. */
function weightsFile(sizes: Sizes, tokens: number): Uint8Array {
  const { vocabSize, hiddenSize: width, intermediateSize: inner, numHiddenLayers: layers } = sizes;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, tieWordEmbeddings } = sizes;
  const kvWidth = (width / heads) * kvHeads;
  const perLayer = 2 * width + 2 * width * width + 2 * width * kvWidth + 3 * width * inner;
  const tables = vocabSize * width * (tieWordEmbeddings ? 1 : 2);
  const count = tables + layers * perLayer + width + tokens * (width / heads);
  const header = Int32Array.of(
    width,
    inner,
    layers,
    heads,
    kvHeads,
    tieWordEmbeddings ? vocabSize : -vocabSize,
    tokens,
  );
  const weights = Float32Array.from({ length: count }, () => 0.02 * (Math.random() - 0.5));
  return Buffer.concat([new Uint8Array(header.buffer), new Uint8Array(weights.buffer)]);
}

/** Tokens of one letter each, scores and lengths before them. */
function tokenizerFile(vocabSize: number): Uint8Array {
  const parts = [Buffer.from(Int32Array.of(1).buffer)];
  for (let id = 0; id < vocabSize; id++)
    parts.push(
      Buffer.from(Float32Array.of(0).buffer),
      Buffer.from(Int32Array.of(1).buffer),
      Buffer.from('a'),
    );
  return Buffer.concat(parts);
}
