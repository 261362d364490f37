/** The benchmark of GPUs without one: what its page says, and what its program does with a ledger. */
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchmarksDocument } from '../../lib/cli/bench/gpu/document.js';
import { generatedDocuments } from '../../lib/cli/bench/gpu/files.js';
import { readGrid } from '../../lib/cli/bench/gpu/grid.js';
import type { GpuRow } from '../../lib/cli/bench/gpu/gpu-rows.js';
import { floorUs, ideal, stepMs } from '../../lib/cli/bench/gpu/predictions.js';
import { gpuLimits } from '../../lib/cli/bench/gpu-limits.js';
import { llamaPresets } from '../../lib/models/index.js';

jest.setTimeout(600_000);

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'compact-gpu-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the pages in docs are what the ledger gives', () => {
  for (const [name, contents] of Object.entries(generatedDocuments()))
    expect(readFileSync(join(root, name), 'utf8') === contents ? name : `stale: ${name}`).toBe(name);
});

test('the grid has the shapes of the presets', () => {
  for (const { name, vocab, hidden, ffn, heads, layers } of readGrid().models)
    expect({
      vocabSize: vocab,
      hiddenSize: hidden,
      intermediateSize: ffn,
      numAttentionHeads: heads,
      numHiddenLayers: layers,
    }).toEqual(llamaPresets[name]);
});

describe('predictions', () => {
  const limits = gpuLimits('NVIDIA H200')!;
  const m350 = { model: llamaPresets['llama-350m'], batch: 128, sequence: 256 };

  // Computed by hand from 790 TFLOP/s and 4.3 TB/s: products 83.4, attention 3.0, element-wise 18.5, AdamW 1.9.
  test('an ideal dense step of the 350M model takes 106.8 ms on an H200', () => {
    expect(stepMs(m350, { method: 'dense' }, limits, ideal)).toBeCloseTo(106.8, 0);
  });

  test('a fourth of the rank saves an eighth of the ideal step', () => {
    const share =
      stepMs(m350, { method: 'compact', rankRatio: 0.25 }, limits, ideal) /
      stepMs(m350, { method: 'dense' }, limits, ideal);
    expect(share).toBeCloseTo(0.88, 2);
  });

  test('a floor is that of what takes longer', () => {
    const kernel = { kernel: '', shape: '', share: 1 };
    expect(floorUs({ ...kernel, flops: 790e9, bytes: 0 }, limits)).toBeCloseTo(1000, 6);
    expect(floorUs({ ...kernel, flops: 790e6, bytes: 4.3e9 }, limits)).toBeCloseTo(1000, 6);
  });
});

describe('the page', () => {
  const row = (cell: string, turn: number, p50: number, more: Partial<GpuRow> = {}): GpuRow => ({
    case: 'gpu-step',
    cell,
    turn,
    device: 'NVIDIA H200',
    commit: 'abc1234',
    date: '2027-01-02T03:04:05Z',
    fits: true,
    p25: p50 - 1,
    p50,
    p75: p50 + 1,
    tokensPerSecond: 32768e3 / p50,
    memory: { tensors: 20e9, pool: 21e9, process: 22e9 },
    ...more,
  });
  const line = (page: string, start: string): string => page.split('\n').find((l) => l.startsWith(start))!;
  const size = 'llama-350m-128x256';

  test('has measured cells beside their predictions, and marks those that waver', () => {
    const page = benchmarksDocument([
      row(`${size}/B1/bf16`, 1, 130),
      row(`${size}/B1/bf16`, 2, 131),
      row(`${size}/C0/bf16`, 1, 120),
      row(`${size}/C0/bf16`, 2, 126),
      row(`${size}/B0/bf16`, 1, 0, { p50: undefined, skipped: 'transformers is not installed' }),
    ]);
    const table = page.slice(page.indexOf('### llama-350m'));
    expect(page).toContain('## NVIDIA H200: measured at abc1234, last on 2027-01-02');
    expect(line(table, '| B1 | PyTorch')).toContain('| 131 (130 - 132) | 1.00 |');
    expect(line(table, '| B1 | PyTorch')).toContain('| 20.0 / 21.0 / 22.0 |');
    expect(line(table, '| C0 | ours')).toContain('| 123 (122 - 124), unsteady | 0.94 |');
    expect(line(table, '| B0 |')).toContain('skipped: transformers is not installed');
    expect(line(table, '| C1-4 |')).toContain('| not run |');
    expect(line(page, '| step of C0 over B1, llama-350m')).toMatch(/\| 0\.94 \|$/);
  });

  test('shows the last commit of a device, and each device by itself', () => {
    const page = benchmarksDocument([
      row(`${size}/B1/bf16`, 1, 500, { commit: 'old', date: '2026-01-01T00:00:00Z' }),
      row(`${size}/C0/bf16`, 1, 120),
      row(`${size}/B1/bf16`, 1, 900, { device: 'NVIDIA GeForce RTX 4090' }),
    ]);
    const [, h200, other] = page.split('\n## NVIDIA');
    expect(page.split('\n## ')).toHaveLength(4);
    expect(h200).not.toContain('500 (');
    expect(h200).toContain('120 (119 - 121)');
    expect(other).toContain('900 (899 - 901)');
  });
});

const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.log('skipped: python3 was not found');
const describeWithPython = hasPython ? describe : describe.skip;

describeWithPython('scripts/gpu-bench', () => {
  const gpuBench = (...words: string[]) => {
    const run = spawnSync('python3', [join(root, 'scripts', 'gpu-bench'), ...words]);
    return { code: run.status, out: run.stdout.toString(), told: run.stderr.toString() };
  };
  const rows = (file: string): Record<string, unknown>[] =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test('goes on where the ledger ends', () => {
    const ledger = join(folder, 'steps.jsonl');
    const some = ['--device', 'cpu', '--ledger', ledger, '--only', 'llama-demo-1x16/C[01]*/bf16'];
    const cells = gpuBench(...some, '--list')
      .out.trim()
      .split('\n');
    expect(cells.length).toBeGreaterThan(3);
    expect(gpuBench(...some, '--slice-seconds', '0').code).toBe(3);
    const one = ['--device', 'cpu', '--ledger', ledger, '--only', 'llama-demo-1x16/C1-4/bf16'];
    expect(gpuBench(...one)).toMatchObject({ code: 0, out: expect.stringContaining('turn 1: done') });
    expect(rows(ledger)).toEqual([
      expect.objectContaining({
        cell: 'llama-demo-1x16/C1-4/bf16',
        turn: 1,
        device: 'cpu',
        batch: 1,
        p50: expect.any(Number),
        memory: expect.objectContaining({ tensors: expect.any(Number) }),
        commit: expect.any(String),
      }),
    ]);
    expect(gpuBench(...one)).toMatchObject({ code: 0, out: '' });
    expect(rows(ledger)).toHaveLength(1);
    expect(gpuBench(...some, '--list').out).toMatch(/C1-4\/bf16 +done\n/);
  });

  test('takes rows of another commit or device for none', () => {
    const ledger = join(folder, 'others.jsonl');
    writeFileSync(
      ledger,
      `${JSON.stringify({ case: 'gpu-step', cell: 'llama-demo-1x16/C0/bf16', turn: 1, p50: 1, device: 'cpu', commit: 'other' })}\n`,
    );
    const list = gpuBench('--device', 'cpu', '--ledger', ledger, '--only', '/C0/bf16', '--list').out;
    expect(list).toContain('to do (0 turns so far)');
  });

  test('refuses a GPU that is not there, and names that nothing has', () => {
    if (process.env.COMPACT_TEST_DEVICE !== 'cuda')
      expect(gpuBench('--only', 'kernels')).toMatchObject({
        code: 1,
        told: expect.stringContaining('nvidia-smi'),
      });
    expect(gpuBench('--device', 'cpu', '--only', 'nothing').told).toContain('--list');
  });
});
