/** docs/benchmarks.md: what it says follows from the ledger, and from nothing else. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchmarksDocument, gpuFigures } from '../../bench/document/document.js';
import { generatedDocuments } from '../../bench/document/files.js';
import { capCellName, cellName, qualityCellName, readGrid } from '../../bench/document/grid.js';
import { readGpuRows, type GpuRow, type KernelProvider } from '../../bench/document/gpu-rows.js';
import { floorUs, ideal, kernelPredictions, stepMs } from '../../bench/document/predictions.js';
import { gpuLimits } from '../../lib/cli/bench/steps/gpu-limits.js';
import { llamaPresets } from '../../lib/models/index.js';

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'compact-gpu-page-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const grid = readGrid();

const common = { turn: 1, device: 'TEST', commit: 'abc1234', date: '2027-01-02T03:04:05Z' } as const;

const step = (cell: string, turn: number, p50: number, more: Partial<GpuRow> = {}): GpuRow => ({
  ...common,
  case: 'gpu-step',
  cell,
  turn,
  fits: true,
  p25: p50 - 1,
  p50,
  p75: p50 + 1,
  tokensPerSecond: 32768e3 / p50,
  loss: { first: 10.4, last: 9.876 },
  memory: { tensors: 20e9, pool: 21e9, process: 22e9 },
  ...more,
});

const kernel = (
  provider: KernelProvider,
  name: string,
  shape: string,
  p50: number,
  variant = '',
): GpuRow => ({
  ...common,
  case: 'gpu-kernel',
  cell: `kernels/${provider}`,
  provider,
  kernel: name,
  shape,
  variant,
  p25: p50,
  p50,
  p75: p50,
});

const quality = (id: string, largestDifference?: number): GpuRow => ({
  ...common,
  case: 'gpu-quality',
  cell: qualityCellName(grid, id),
  firstLoss: 10.4,
  lastLoss: 2.25,
  largestDifference,
});

/** The table below a heading: its lines by the first cells of each. */
function tableBelow(page: string, heading: string): Record<string, string[]> {
  const [, after] = page.split(`### ${heading}`);
  if (after === undefined) throw new Error(`no heading ${heading}`);
  const lines = after
    .split('\n### ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| '));
  return Object.fromEntries(
    lines.map((line) => {
      const cells = line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
      return [cells[0]!, cells];
    }),
  );
}
const targets = (page: string) => tableBelow(page, 'Targets');
const m350 = { model: 'llama-350m', batch: 128, sequence: 256 } as const;

describe('without a row', () => {
  const page = benchmarksDocument([]);

  test('no target is measured', () => {
    const { '': head, ...rows } = targets(page);
    expect(head!.at(-1)).toBe('measured');
    expect(Object.keys(rows).length).toBeGreaterThan(30);
    for (const cells of Object.values(rows)) expect(cells).toEqual([...cells.slice(0, 3), 'not run']);
  });

  test('no cell of any table is', () => {
    const measuredHeads =
      /^(measured|largest batch|tokens\/s|first loss|last loss|of |loss$|warpgroups|cuBLASLt us|PyTorch us)/;
    const sections = page.split(/\n### /).slice(1);
    expect(sections.length).toBeGreaterThan(8);
    for (const section of sections) {
      const [head, , ...lines] = section.split('\n').filter((line) => line.startsWith('|'));
      const heads = head!.split('|').map((cell) => cell.trim());
      expect(lines.join('')).toContain('not run');
      for (const line of lines) {
        const found = line.split('|').filter((_, index) => measuredHeads.test(heads[index]!));
        expect(found.length).toBeGreaterThan(0);
        for (const cell of found) expect(['', 'not run']).toContain(cell.trim());
      }
    }
  });

  test('every figure says of what it shows that it is predicted or planned', () => {
    for (const svg of Object.values(gpuFigures([]))) expect(svg).toMatch(/predicted|planned/);
  });
});

describe('the rows of a GPU', () => {
  const b1 = cellName(m350, 'B1');
  const c0 = cellName(m350, 'C0');
  const page = benchmarksDocument([
    step(b1, 1, 130),
    step(b1, 2, 131),
    step(c0, 1, 120),
    step(c0, 2, 126),
    step(cellName(m350, 'C1-4'), 1, 100, { memory: { tensors: 15e9, pool: 16e9, process: 17e9 } }),
    step(cellName(m350, 'B0'), 1, 0, { p50: undefined, fits: undefined, skipped: 'no transformers' }),
    step(cellName(m350, 'B3'), 1, 0, { p50: undefined, fits: undefined, failed: 'a fault' }),
    step(cellName(m350, 'B2'), 1, 0, { p50: undefined, fits: false }),
    quality('B1'),
    quality('C0', 0.00321),
    step(capCellName('llama-350m', 24, 'B1'), 1, 90, { batch: 96, tokensPerSecond: 200_000 }),
    step(capCellName('llama-350m', 24, 'C2-4'), 1, 90, { batch: 144, tokensPerSecond: 250_000 }),
    kernel('own', 'copy', '16384x4096', 60),
    kernel('torch', 'copy', '16384x4096', 50),
    kernel('own', 'RMSNorm', '16384x4096', 80),
    kernel('own', 'y = x W', '16384x4096x4096', 1500),
    kernel('warpgroups', 'y = x W', '16384x4096x4096', 1000),
    kernel('vendor', 'y = x W', '16384x4096x4096', 810),
    kernel('torch', 'y = x W', '16384x4096x4096', 800),
    kernel('own', 'update W -= s P N', '4096x4096 rank 1024', 55),
    kernel('torch', 'update W -= s P N', '4096x4096 rank 1024', 100, 'randn, product, add'),
    kernel('torch', 'update W -= s P N', '4096x4096 rank 1024', 60, 'P prepared'),
  ]);

  test('make a section of its own, of which nothing is predicted that is not known', () => {
    expect(page).toContain('## TEST: measured at abc1234, last on 2027-01-02');
    expect(page.match(/^## /gm)).toHaveLength(2); // how to repeat it, and this one
    expect(targets(page)['P panel, 4096x1024']).toEqual([
      'P panel, 4096x1024',
      'at most 6 us',
      '',
      'not run',
    ]);
  });

  test('stand in the table of steps, with those that waver, failed and do not fit', () => {
    const rows = tableBelow(page, 'llama-350m, 128 sequences');
    const tokens = '250,137'; // of the last turn
    expect(rows['C1-4']!.slice(4, 7)).toEqual(['100 (99.0 - 101), unsteady', '0.77', '327,680']);
    expect(rows['C1-4']!.slice(7)).toEqual([
      '9.876',
      expect.stringMatching(/^2\d\.\d$/),
      '15.0 / 16.0 / 17.0',
    ]);
    expect(rows['B0']![4]).toBe('skipped: no transformers');
    expect(rows['B3']![4]).toBe('failed: a fault');
    expect(rows['B2']![4]).toBe('does not fit');
    const line = (start: string) => page.split('\n').find((text) => text.startsWith(start))!;
    expect(line('| B1 | PyTorch, torch.compile | bf16 |  | 131')).toContain(
      `131 (130 - 132) | 1.00 | ${tokens} |`,
    );
    expect(line('| C0 | ours, dense | bf16 |  | 123')).toContain('123 (122 - 124), unsteady | 0.94 |');
  });

  test('decide the targets', () => {
    const found = (title: string) => targets(page)[title]?.at(-1);
    expect(found('step of C0 over B1, llama-350m, 32,768 tokens')).toBe('0.94'); // 123 / 130.5
    expect(found('step of C1-4 over C0, llama-350m, 32,768 tokens')).toBe('0.81');
    expect(found('peak of C1-4 over B1, llama-350m, 32,768 tokens')).toBe('0.75');
    expect(found('tokens/s of C2-4 over B1 at 24 GB, llama-350m, each at its largest batch')).toBe('1.25');
    expect(found("losses of C0, llama-60m, 200 steps: largest difference from the CPU's")).toBe('0.32 %');
    expect(found("losses of C1-4, llama-60m, 200 steps: largest difference from the CPU's")).toBe('not run');
    // The same bytes as the copy, which PyTorch did in 50 us.
    expect(found('RMSNorm, share of the bandwidth of a copy')).toBe('0.63');
    expect(found("y = x W with cuBLASLt, share of cuBLASLt's rate")).toBe('0.99');
    expect(found("y = x W by our warpgroups, share of cuBLASLt's rate")).toBe('0.80');
    const update = 'update W -= s P N, 4096x4096 rank 1024';
    expect(found(update)).toBe('55.0');
    expect(found(`${update}, over randn, product and addition in PyTorch`)).toBe('0.55');
    expect(found('step of C0 over B1, llama-1b, 16,384 tokens')).toBe('not run');
  });

  test('stand in the other tables', () => {
    expect(tableBelow(page, 'Losses')['C0']).toEqual([
      'C0',
      'ours, dense',
      '0.001',
      '10.4000',
      '2.2500',
      '0.32 %',
    ]);
    expect(tableBelow(page, 'Losses')['B1']!.slice(3)).toEqual(['10.4000', '2.2500', '']);
    expect(tableBelow(page, 'Losses')['C1-4']![3]).toBe('not run');
    const kernels = tableBelow(page, 'Kernels');
    expect(kernels['RMSNorm']!.slice(4)).toEqual([
      '80.0 (80.0 - 80.0), unsteady',
      '',
      '75 %',
      '',
      '',
      'not run',
    ]);
    expect(kernels['y = x W']!.slice(7)).toEqual(['1000', '810', '800']);
    expect(kernels['update W -= s P N']!.at(-1)).toBe('100 (randn, product, add), 60.0 (P prepared)');
    expect(page).toContain('| llama-350m | 24 GB | C2-4, ours, compact n/4, lazy | 144 | 250,000 |');
  });
});

test('the last commit of a device is shown, and each device by itself', () => {
  const b1 = cellName(m350, 'B1');
  const h200 = { device: 'NVIDIA H200' };
  const page = benchmarksDocument([
    step(b1, 1, 500, { ...h200, commit: 'old', date: '2026-01-01T00:00:00Z' }),
    step(cellName(m350, 'C0'), 1, 120, h200),
    step(b1, 1, 900, { device: 'NVIDIA GeForce RTX 4090' }),
  ]);
  const [, first, second] = page.split('\n## NVIDIA');
  expect(page.split('\n## ')).toHaveLength(4);
  expect(first).not.toContain('500 (');
  expect(first).toContain('120 (119 - 121)');
  expect(second).toContain('900 (899 - 901)');
});

test('what is measured of everything in the grid decides every target', () => {
  const launchGaps = { plainMs: 40, recordedMs: 39, opsMs: 38, share: 0.02 };
  const rows = [
    ...[...grid.sizes.map((size) => (id: string) => cellName(size, id)),
      ...grid.caps.map(({ model, gigabytes }) => (id: string) => capCellName(model, gigabytes, id)),
    ].flatMap((nameOf) => grid.contenders.map(({ id }) => step(nameOf(id), 1, 100, { launchGaps }))),
    ...kernelPredictions.flatMap(({ kernel: name, shape }) =>
      (['own', 'warpgroups', 'vendor', 'torch'] as const).map((provider) =>
        kernel(provider, name, shape, 100, name.startsWith('update') ? 'randn, product, add' : ''),
      ),
    ),
    ...Object.keys(grid.quality.learningRates).map((id) => quality(id, 0.001)),
  ]; // prettier-ignore
  const undecided = Object.values(targets(benchmarksDocument(rows)))
    .filter((cells) => cells.at(-1) === 'not run')
    .map(([title]) => title);
  expect(undecided).toEqual([]);
});

test('kernels have the same names where they are timed and where they are predicted', () => {
  const named = (file: string, pattern: RegExp): Set<string> =>
    new Set([...readFileSync(join(root, file), 'utf8').matchAll(pattern)].map(([, name]) => name!));
  const predicted = new Set(kernelPredictions.map(({ kernel: name }) => name));
  expect(named('cuda/bench/cases.cc', /(?:add|matmul)\(\s*"([^"]+)",/g)).toEqual(predicted);
  const peers = named('bench/peers/kernels.py', /(?:yield|name =)\s*\(?\s*"([^"]+)"/g);
  expect(peers.size).toBeGreaterThan(12);
  for (const name of peers) expect(predicted).toContain(name);
});

describe('predictions', () => {
  const limits = gpuLimits('NVIDIA H200')!;
  const shape = { ...m350, model: llamaPresets['llama-350m'] };

  // Computed by hand from 790 TFLOP/s and 4.3 TB/s: products 83.4, attention 3.0, element-wise 18.5, AdamW 1.9.
  test('an ideal dense step of the 350M model takes 106.8 ms on an H200', () => {
    expect(stepMs(shape, { method: 'dense' }, limits, ideal)).toBeCloseTo(106.8, 0);
  });

  test('a fourth of the rank saves an eighth of the ideal step', () => {
    const share =
      stepMs(shape, { method: 'compact', rankRatio: 0.25 }, limits, ideal) /
      stepMs(shape, { method: 'dense' }, limits, ideal);
    expect(share).toBeCloseTo(0.88, 2);
  });

  test('a floor is that of what takes longer', () => {
    const some = { kernel: '', shape: '', share: 1 };
    expect(floorUs({ ...some, flops: 790e9, bytes: 0 }, limits)).toBeCloseTo(1000, 6);
    expect(floorUs({ ...some, flops: 790e6, bytes: 4.3e9 }, limits)).toBeCloseTo(1000, 6);
  });
});

describe('the files', () => {
  const ledger = join(folder, 'gpu.jsonl');
  writeFileSync(ledger, `${JSON.stringify(step(cellName(m350, 'B1'), 1, 130))}\n`);
  const write = (...words: string[]) => {
    const program = join(root, 'scripts', 'docs-benchmarks.cjs');
    const run = spawnSync(process.execPath, [program, ...words]);
    return { code: run.status, out: run.stdout.toString(), told: run.stderr.toString() };
  };

  test('in docs are what the ledger gives', () => {
    for (const [name, contents] of Object.entries(generatedDocuments()))
      expect(readFileSync(join(root, name), 'utf8') === contents ? name : `stale: ${name}`).toBe(name);
  });

  test('are written, and --check finds those that the ledger has left behind', () => {
    const words = ['--ledger', ledger, '--output', folder];
    expect(write(...words)).toMatchObject({ code: 0, out: expect.stringContaining('docs/benchmarks.md') });
    const page = join(folder, 'docs', 'benchmarks.md');
    expect(readFileSync(page, 'utf8')).toContain('130 (129 - 131)');
    appendFileSync(ledger, `${JSON.stringify(step(cellName(m350, 'B1'), 2, 150))}\n`);
    expect(write(...words, '--check')).toEqual({
      code: 1,
      out: '',
      told: 'not what the ledger gives: docs/benchmarks.md; run npm run docs:benchmarks\n',
    });
    expect(readFileSync(page, 'utf8')).toContain('130 (129 - 131)');
  });

  test('are refused for a ledger that is none, and for wrong words', () => {
    const broken = join(folder, 'broken.jsonl');
    writeFileSync(broken, '{"case": "gpu-step"\n');
    expect(() => readGpuRows(broken)).toThrow('broken.jsonl: line 1 is not JSON');
    expect(write('--fast')).toMatchObject({ code: 2, told: expect.stringContaining('usage: ') });
  });
});
