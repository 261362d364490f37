/** The PyTorch programs of the benchmark: they compute what they are said to compute. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GpuRow } from '../../bench/document/gpu-rows.js';
import { randomBatch } from '../../lib/cli/bench/steps/step-runner.js';
import { TorchPeer } from '../../lib/cli/bench/steps/torch-peer.js';
import { compile } from '../../lib/compile/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'compact-peers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const shape = { vocab: 101, hidden: 32, ffn: 56, heads: 4, layers: 2, batch: 2, sequence: 16 };
const steps = 4;
const learningRate = 1e-3;

const hasTorch = spawnSync('python3', ['-c', 'import torch']).status === 0;
if (!hasTorch) console.log('skipped: python3 with torch was not found');
const describeWithTorch = hasTorch ? describe : describe.skip;

type Flags = Readonly<Record<string, string | number>>;
interface Result {
  readonly losses: number[];
  readonly skipped?: string;
}

/** What the program of a cell prints for each of these flags, all in one process: PyTorch takes long to start. */
function peers(...flags: readonly Flags[]): Result[] {
  const common = { ...shape, dtype: 'f32', chunk: 10, warmup: 1, steps: steps - 1, threads: 1 };
  const lines = flags.map((own) =>
    Object.entries({ 'learning-rate': learningRate, ...common, ...own }).flatMap(([name, value]) => [
      `--${name}`,
      String(value),
    ]),
  );
  const program = 'import json, sys, cell\nfor words in json.load(sys.stdin): cell.main(words)';
  const output = execFileSync('python3', ['-c', program], {
    input: JSON.stringify(lines),
    env: { ...process.env, PYTHONPATH: join(root, 'bench', 'peers') },
  });
  return output
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Result);
}

/** Sums of fp32 in another order, over a loss of about 4.6. */
const digits = 4;

const expectAlike = (found: readonly number[], right: readonly number[]): void => {
  expect(found).toHaveLength(right.length);
  found.forEach((loss, i) => expect(loss).toBeCloseTo(right[i]!, digits));
};

describeWithTorch('steps on demand', () => {
  const options = { model: 'llama-demo', batch: 1, sequence: 16, threads: 1, dtype: 'f32' } as const;

  test('one for each call', async () => {
    await using peer = await TorchPeer.start({ mode: 'eager', loss: 'full' }, options);
    for (let step = 0; step < 2; step++) expect(await peer.step()).toBeGreaterThan(0);
  });

  test('a program that cannot run says why', async () => {
    const variant = { mode: 'eager', loss: 'full' } as const;
    await expect(TorchPeer.start(variant, { ...options, batch: -1 })).rejects.toThrow('RuntimeError');
  });
});

describeWithTorch('programs', () => {
  const weights = join(folder, 'weights.safetensors');
  const batches = (numSteps: number): string => {
    const count = numSteps * 2 * shape.batch * shape.sequence;
    const file = join(folder, `${numSteps}.i32`);
    writeFileSync(
      file,
      Int32Array.from({ length: count }, (_, i) => (i * 37) % shape.vocab),
    );
    return file;
  };
  const cases = {
    base: { program: 'dense' },
    checkpointing: { program: 'dense-checkpoint' },
    'all logits at once': { program: 'dense', chunk: 0 },
    'CompAct with the identity as its projection': { program: 'compact-identity' },
    compact: { program: 'compact' },
    'compact, P per weight': { program: 'compact-separate' },
    GaLore: { program: 'galore' },
    'GaLore, layer by layer': { program: 'galore-layer-wise' },
    APOLLO: { program: 'apollo' },
    'APOLLO, rank 1': { program: 'apollo-rank-1' },
    'dense, wide moments': { program: 'dense', dtype: 'bf16', states: 'f32' },
    'compact, wide moments': { program: 'compact', dtype: 'bf16', states: 'f32' },
    'one batch': { program: 'dense', batches: batches(1) },
    'a batch a step': { program: 'dense', batches: batches(steps) },
    'from given weights': { program: 'dense', weights },
    budget: { program: 'dense-budget' },
    'on a GPU': { program: 'dense', device: 'cuda' },
  } satisfies Record<string, Flags>;
  const names = Object.keys(cases) as (keyof typeof cases)[];
  let results: Record<keyof typeof cases, Result>;
  let own: readonly number[];
  beforeAll(async () => {
    own = await trainHere(weights);
    const found = peers(...Object.values(cases));
    results = Object.fromEntries(names.map((name, i) => [name, found[i]!])) as typeof results;
  });

  test.each(['checkpointing', 'all logits at once', 'CompAct with the identity as its projection'] as const)(
    '%s trains as dense does',
    (name) => {
      const { losses } = results.base;
      expect(losses[0]! - losses.at(-1)!).toBeGreaterThan(0.05);
      expectAlike(results[name].losses, losses);
    },
  );

  test.each(['compact', 'compact, P per weight', 'GaLore', 'APOLLO', 'APOLLO, rank 1'] as const)(
    '%s learns too, and begins with the same loss',
    (name) => {
      const { losses } = results[name];
      expect(losses[0]).toBeCloseTo(results.base.losses[0]!, digits);
      expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.03);
      expect(losses.at(-1)!).toBeGreaterThan(results.base.losses.at(-1)! + 0.005);
    },
  );

  test('GaLore layer by layer is GaLore', () => {
    expectAlike(results['GaLore, layer by layer'].losses, results.GaLore.losses);
  });

  test('moments may be wider than weights', () => {
    for (const name of ['dense, wide moments', 'compact, wide moments'] as const)
      expect(results[name].losses.at(-1)).toBeLessThan(4.5);
  });

  test('each step has a batch of its own where a file of them is given', () => {
    const [repeated, fresh] = [results['one batch'].losses, results['a batch a step'].losses];
    expect(fresh[0]).toBe(repeated[0]);
    expect(fresh[1]).not.toBeCloseTo(repeated[1]!, 2);
  });

  test('what cannot run says why', () => {
    expect(results.budget.skipped).toContain('--mode compile');
    expect(results['on a GPU']).toEqual(
      expect.objectContaining(
        process.env.COMPACT_TEST_DEVICE === 'cuda' ? { fits: true } : { skipped: expect.any(String) },
      ),
    );
  });

  test('from the same weights on the same tokens, our own dense training has its losses', () => {
    expectAlike(results['from given weights'].losses, own);
  });

  test('are rows of the ledger with times, memory and loss', () => {
    const ledger = join(folder, 'ledger.jsonl');
    const words = ['--device', 'cpu', '--ledger', ledger, '--only', 'llama-demo-1x16/B[126]/bf16'];
    const run = spawnSync('python3', [join(root, 'scripts', 'gpu-bench'), ...words]);
    expect({ code: run.status, out: run.stdout.toString() }).toMatchObject({ code: 0 });
    const lines = readFileSync(ledger, 'utf8').trim().split('\n');
    const rows = Object.fromEntries(
      lines.map((line) => JSON.parse(line) as GpuRow).map((row) => [row.cell.split('/')[1]!, row]),
    );
    expect(rows['B2']!.skipped).toContain('--mode compile'); // on a tiny model nothing is compiled
    for (const id of ['B1', 'B6']) {
      const { p25, p50, p75, memory, loss, tokensPerSecond } = rows[id]!;
      expect(p25!).toBeLessThanOrEqual(p50!);
      expect(p50!).toBeLessThanOrEqual(p75!);
      expect(tokensPerSecond).toBeCloseTo(16e3 / p50!, 6);
      // Nobody counts those of a CPU.
      expect(memory).toEqual({ tensors: null, pool: null, process: null });
      expect(loss!.last).toBeLessThan(loss!.first);
      expect(loss!.first).toBeCloseTo(Math.log(257), 0);
    }
  });

  test('ours and PyTorch have the same losses on text from the same weights', () => {
    const ledger = join(folder, 'quality.jsonl');
    const words = ['--device', 'cpu', '--ledger', ledger, '--only', 'quality/*/[BC][01]/*'];
    const run = spawnSync('python3', [join(root, 'scripts', 'gpu-bench'), ...words]);
    expect({ code: run.status, told: run.stderr.toString() }).toMatchObject({ code: 0 });
    const [theirs, own] = readFileSync(ledger, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as GpuRow & { readonly losses: readonly number[] });
    expect([theirs!.contender, own!.contender]).toEqual(['B1', 'C0']);
    expect(own!.largestDifference).toBeLessThan(1e-5); // this CPU beside itself, but for digits
    expect(theirs!.losses).toHaveLength(3);
    // In bf16, whose roundings the two place differently: 0.4 % of a number at most.
    theirs!.losses.forEach((loss, step) =>
      expect(Math.abs(loss / own!.losses[step]! - 1)).toBeLessThan(0.004),
    );
    expect(own!.lastLoss).toBeLessThan(own!.firstLoss! - 0.2);
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
  const inputs = randomBatch(model, numTokens);
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
