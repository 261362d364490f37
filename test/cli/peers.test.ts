/** The PyTorch programs of the benchmark: they compute what they are said to compute. */
import { describe, expect, jest, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBatch } from '../../lib/cli/bench/step-runner.js';
import { compile } from '../../lib/compile/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';

jest.setTimeout(600_000); // starting PyTorch takes seconds, on a busy machine many

const cell = join(__dirname, '..', '..', 'bench', 'peers', 'cell.py');
const shape = { vocab: 101, hidden: 32, ffn: 56, heads: 4, layers: 2, batch: 2, sequence: 16 };
const steps = 4;
const learningRate = 1e-3;

const hasTorch = spawnSync('python3', ['-c', 'import torch']).status === 0;
if (!hasTorch) console.log('skipped: python3 with torch was not found');
const describeWithTorch = hasTorch ? describe : describe.skip;

function peer(flags: Readonly<Record<string, string | number>>): {
  readonly losses: number[];
  readonly msPerStep: number[];
  readonly skipped?: string;
  readonly failed?: string;
} {
  const all = { ...shape, dtype: 'f32', chunk: 10, warmup: 1, steps: steps - 1, threads: 1, ...flags };
  const words = Object.entries({ 'learning-rate': learningRate, ...all }).flatMap(([k, v]) => [
    `--${k}`,
    `${v}`,
  ]);
  return JSON.parse(execFileSync('python3', [cell, ...words]).toString());
}

/** Sums of fp32 in another order, over a loss of about 4.6. */
const digits = 4;

const expectAlike = (found: readonly number[], right: readonly number[]): void => {
  expect(found).toHaveLength(right.length);
  found.forEach((loss, i) => expect(loss).toBeCloseTo(right[i]!, digits));
};

describeWithTorch('programs', () => {
  const base = hasTorch ? peer({ program: 'dense' }).losses : [];

  test.each([
    ['checkpointing', { program: 'dense-checkpoint' }],
    ['all logits at once', { program: 'dense', chunk: 0 }],
    ['CompAct with the identity as its projection', { program: 'compact-identity' }],
  ])('%s trains as dense does', (_, flags) => {
    expect(base[0]! - base.at(-1)!).toBeGreaterThan(0.05);
    expectAlike(peer(flags).losses, base);
  });

  test('the others learn too, and begin with the same loss', () => {
    for (const program of ['compact', 'compact-separate', 'galore', 'apollo', 'apollo-rank-1']) {
      const { losses } = peer({ program });
      expect(losses[0]).toBeCloseTo(base[0]!, digits);
      expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.03);
      expect(losses.at(-1)!).toBeGreaterThan(base.at(-1)! + 0.005);
    }
  });

  test('GaLore layer by layer is GaLore', () => {
    expectAlike(peer({ program: 'galore-layer-wise' }).losses, peer({ program: 'galore' }).losses);
  });

  test('moments may be wider than weights', () => {
    for (const program of ['dense', 'compact'])
      expect(peer({ program, dtype: 'bf16', states: 'f32' }).losses.at(-1)).toBeLessThan(4.5);
  });

  test('what cannot run says why', () => {
    expect(peer({ program: 'dense-budget' }).skipped).toContain('--mode compile');
    expect(peer({ program: 'dense', device: 'cuda' })).toEqual(
      expect.objectContaining(
        process.env.COMPACT_TEST_DEVICE === 'cuda' ? { fits: true } : { skipped: expect.any(String) },
      ),
    );
  });

  test('from the same weights on the same tokens, our own dense training has its losses', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'compact-peers-'));
    try {
      const weights = join(folder, 'weights.safetensors');
      const own = await trainHere(weights);
      expectAlike(peer({ program: 'dense', weights }).losses, own);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Losses of our own engine; its initial weights go to `file`. */
async function trainHere(file: string): Promise<number[]> {
  const model = llama({
    vocabSize: shape.vocab,
    hiddenSize: shape.hidden,
    intermediateSize: shape.ffn,
    numAttentionHeads: shape.heads,
    numHiddenLayers: shape.layers,
    rmsNormEps: 1e-6,
  });
  const plan = compile({
    model,
    method: dense(),
    target: cpuTarget({ threads: 1 }),
    batchSize: shape.batch,
    sequenceLength: shape.sequence,
    dtype: 'f32',
    entries: ['initialize', 'train'],
  });
  await using engine = await Engine.open({ device: 'cpu', threads: 1 });
  await engine.load(plan);
  for (const [name, table] of Object.entries(model.constants(shape.sequence)))
    await engine.write(name, table);
  await engine.run('initialize');
  const parameters = plan.values.filter(({ kind }) => kind === 'parameter');
  const tensors = [];
  for (const { name, shape: extents } of parameters)
    tensors.push(stored(name, extents, (await engine.read(name)) as Float32Array));
  writeFileSync(file, safetensors(tensors));
  const numTokens = shape.batch * shape.sequence;
  const inputs = randomBatch(numTokens, shape.vocab);
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const scalars = { learningRate, step, accumulate: 0, lossScale: 1 / numTokens };
    const { outputs } = await engine.run('step', { inputs, scalars });
    losses.push(Number(outputs['loss']![0]));
  }
  return losses;
}

interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Files hold weights of linear layers as (out, in). */
function stored(name: string, shape: readonly number[], values: Float32Array): Stored {
  if (shape.length === 1 || name.includes('embed')) return { name, shape, values };
  const [rows, columns] = shape as [number, number];
  const transposed = Float32Array.from(
    values,
    (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!,
  );
  return { name, shape: [columns, rows], values: transposed };
}

function safetensors(tensors: readonly Stored[]): Buffer {
  let end = 0;
  const header = Object.fromEntries(
    tensors.map(({ name, shape, values }) => {
      const begin = end;
      end += values.byteLength;
      return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
    }),
  );
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...tensors.map(({ values }) => Buffer.from(values.buffer))]);
}
