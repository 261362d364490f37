import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchReport } from '../../lib/cli/bench/memory/report.js';
import { plannedThreads } from '../../lib/cli/planned-threads.js';
import { compile } from '../../lib/compile/index.js';
import { compact, dense, lomo, lora, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { runCommand } from './run-command.js';

// Each benchmark trains or times something small, in processes of its own, and test machines may be busy.
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-train-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function benchJson<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await runCommand(['bench', ...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

const ledgerRows = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('bench memory', () => {
  let report: BenchReport & { files: Record<string, string> };
  beforeAll(async () => {
    report = await benchJson('memory', '--steps', '6', '--output', join(folder, 'report'));
  });

  test('saves in the published accounting what was published, within 0.05 GiB', () => {
    const compared = report.savings.filter(({ publishedBytes }) => publishedBytes !== undefined);
    expect(compared).toHaveLength(9);
    for (const { plannedBytes, publishedBytes } of compared)
      expect(Math.abs(plannedBytes - publishedBytes!) / 2 ** 30).toBeLessThan(0.05);
  });

  test('plans nine models under ten methods, every arena within one per cent of its lower bound', () => {
    const ours = report.planned.find(({ accounting }) => accounting === 'ours')!;
    expect(ours.models.map(({ peaks }) => peaks.length)).toEqual(Array<number>(9).fill(10));
    for (const { arenaBytes, arenaLowerBoundBytes } of ours.models.flatMap(({ peaks }) => peaks))
      expect(arenaBytes / arenaLowerBoundBytes).toBeLessThanOrEqual(1.01);
  });

  test('allocates what it planned', () => {
    expect(report.demo.runs.map(({ variant }) => variant)).toEqual(['dense', 'compact n/4, lazy']);
    for (const run of report.demo.runs) {
      expect(run.allocatedBytes).toBe(run.plannedBytes);
      expect(run.processBytes).toBeGreaterThan(run.allocatedBytes);
      expect(Object.values(run.byKind).reduce((a, b) => a + b, 0)).toBe(run.plannedBytes);
      expect(run.losses).toHaveLength(6);
    }
  });

  test('writes the same numbers as JSON, as a figure and as a page', () => {
    const written = JSON.parse(readFileSync(report.files['data']!, 'utf8')) as BenchReport;
    expect(written.demo).toEqual(report.demo);
    const loss = report.demo.runs[1]!.finalLoss.toFixed(3);
    expect(readFileSync(report.files['figure']!, 'utf8')).toContain(loss);
    expect(readFileSync(report.files['page']!, 'utf8')).toContain(loss);
  });
});

test('bench memory --planned plans without training, and draws what it says', async () => {
  const cwd = mkdtempSync(join(folder, 'planned-'));
  const run = (...args: string[]) => runCommand(['bench', 'memory', '--planned', ...args], { cwd });
  const { code, stdout } = await run('--svg', 'pictures/peaks.svg', '--json');
  expect(code).toBe(0);
  expect(readdirSync(cwd)).toEqual(['pictures']); // no report
  const { planned } = JSON.parse(stdout) as Pick<BenchReport, 'planned'>;
  const { peaks } = planned[0]!.models.find(({ model }) => model === 'llama-350m')!;
  const svg = readFileSync(join(cwd, 'pictures', 'peaks.svg'), 'utf8');
  const drawn = peaks.filter(({ variant }) => /^dense|n\/4/.test(variant));
  expect(drawn).toHaveLength(6);
  for (const { peakBytes } of drawn) expect(svg).toContain(`>${(peakBytes / 2 ** 30).toFixed(2)} GiB`);
  const refused = await run('--steps', '5');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/'--planned' cannot be used with option '--steps/);
});

test('bench memory --methods plans methods of a list beside plain dense training and selective recompute', async () => {
  const args = ['--methods', 'dense,lomo,compact+sgd:store=lazy,lora:r=16', '--model', 'llama-60m'];
  const { planned, savings } = await benchJson<BenchReport>('memory', ...args);
  expect(savings).toEqual([]);
  const [{ model, peaks }] = planned[0]!.models as [BenchReport['planned'][0]['models'][0]];
  const of = (method: Method, recompute: 'none' | 'cheap' = 'none') => {
    const shape = { batchSize: 128, sequenceLength: 256, dtype: 'bf16', entries: ['train'] } as const;
    const target = cpuTarget({ threads: plannedThreads });
    return compile({ ...shape, model: llama('llama-60m'), method, target, recompute }).peakBytes;
  };
  const plain = of(dense());
  expect(model).toBe('llama-60m');
  expect(peaks.map(({ variant, peakBytes }) => [variant, peakBytes])).toEqual([
    ['dense', plain],
    ['dense, cheap recompute', of(dense(), 'cheap')],
    ['lomo', of(lomo())],
    ['compact+sgd:store=lazy', of(compact({ optimizer: 'sgd', store: 'lazy' }))],
    ['lora:r=16', of(lora({ r: 16 }))],
  ]);
  expect(peaks[2]!.shareOfPlain).toBe(peaks[2]!.peakBytes / plain);
});

test.each([
  [['--methods', 'lomo', '--steps', '5'], /'--methods <list>' cannot be used with option '--steps/],
  [['--model', 'llama-60m'], /--model belongs to --methods/],
  [['--methods', 'lomoo'], /unknown training method/],
])('bench memory %j is refused', async (args, complaint) => {
  const { code, stderr } = await runCommand(['bench', 'memory', ...args], { cwd: folder });
  expect(code).toBe(2);
  expect(stderr).toMatch(complaint);
});

const tinyModel = join(__dirname, '../../bench/models/llama-134k.json');
const tiny = ['--model', tinyModel, '--batch', '1', '--sequence', '16', '--threads', '1'];

test('bench quality tunes both methods over one grid, and trains nothing twice', async () => {
  const ledger = join(folder, 'quality.jsonl');
  const rates = ['--matrix-rates', '0.001', '--other-rates', '0.01', '--seeds', '1'];
  type Outcome = { results: object[]; runs: { variant: string; loss: number }[] };
  const bench = () => benchJson<Outcome>('quality', ...tiny, '--steps', '1', ...rates, '--ledger', ledger);
  const first = await bench();
  const rows = readFileSync(ledger, 'utf8');
  expect(first.runs.map(({ variant }) => variant)).toEqual(['dense', 'compact n/4, lazy']);
  expect(ledgerRows(ledger)).toEqual(
    first.runs.map(
      ({ variant, loss }) =>
      expect.objectContaining({
        case: 'quality', provider: variant, loss, seed: 1, matrixRate: 0.001, otherRate: 0.01,
        instructionSet: expect.any(String), date: expect.any(String),
      }), // prettier-ignore
    ),
  );
  const again = await bench();
  expect([again.results, again.runs]).toEqual([first.results, first.runs]);
  expect(readFileSync(ledger, 'utf8')).toBe(rows);
});

test('bench step-time compares with dense and says why PyTorch was left out', async () => {
  const args = [
    '--model',
    'llama-demo',
    '--batch',
    '1',
    '--rounds',
    '1',
    '--dtype',
    'f32',
    '--no-peer',
    '--profile',
  ];
  const report = await benchJson<{ rows: { ofDense: number }[]; peerSkipped: string; profiles: object }>(
    'step-time', ...args,
  ); // prettier-ignore
  expect(report.rows[0]!.ofDense).toBe(1);
  expect(report.peerSkipped).toContain('--no-peer');
  expect(Object.keys(report.profiles)).toHaveLength(report.rows.length);
});

test('bench step-time puts a method that is named beside both baselines, and takes a config.json', async () => {
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify(llama('llama-demo').pretrainedConfig('f32')));
  const args = [
    '--model',
    config,
    '--batch',
    '1',
    '--sequence',
    '16',
    '--rounds',
    '1',
    '--dtype',
    'f32',
    '--no-peer',
  ];
  const { rows } = await benchJson<{ rows: { provider: string }[] }>(
    'step-time', ...args, '--method', 'galore', '--optimizer', 'lion', '--set', 'method.rank=8',
  ); // prettier-ignore
  expect(rows.map(({ provider }) => provider)).toEqual([
    'dense',
    'dense, selective recompute',
    'dense, layer checkpointing',
    'galore rank 8, lion',
    'galore rank 8, lion, layer checkpointing',
  ]);
});

test('bench quality compares a method that is named with dense', async () => {
  const args = [...tiny, '--steps', '2', '--matrix-rates', '0.01', '--other-rates', '0.01', '--seeds', '1'];
  const { results } = await benchJson<{ results: { variant: string; meanLoss: number }[] }>(
    'quality', ...args, '--method', 'compact', '--optimizer', 'scale',
  ); // prettier-ignore
  expect(results.map(({ variant }) => variant)).toEqual(['dense', 'compact n/4, stored, scale']);
  for (const { meanLoss } of results) expect(meanLoss).toBeLessThan(6);
});

test('bench quality --methods tunes every method of a list from shorter runs, each over its own grid', async () => {
  const list = ['--methods', 'lora,dense+muon', '--seeds', '1'];
  const rates = ['--matrix-rates', '0.001,0.004', '--other-rates', '0.01'];
  const output = join(folder, 'compared');
  const { results, runs, costs, withoutResult, files } = await benchJson<{
    results: { variant: string }[];
    runs: { variant: string; matrixRate: number; otherRate?: number; steps: number }[];
    costs: {
      variant: string;
      recompute: string;
      peakBytes: number;
      allocatedBytes: number;
      timeOfDense: number;
    }[];
    withoutResult: string[];
    files: { data: string; figure: string; page: string };
  }>('quality', ...tiny, ...list, ...rates, '--rungs', '1', '--steps', '2', '--output', output);
  expect(results.map(({ variant }) => variant)).toEqual(['lora', 'dense+muon']);
  expect(runs.map(({ variant, steps }) => `${variant} ${steps}`)).toEqual(
    ['lora', 'dense+muon'].flatMap((variant) => [1, 1, 2].map((steps) => `${variant} ${steps}`)),
  );
  const firstOf = (name: string) => runs.find(({ variant }) => variant === name);
  expect(firstOf('lora')).not.toHaveProperty('otherRate');
  expect(firstOf('dense+muon')).toMatchObject({ matrixRate: 0.01, otherRate: 0.01 });
  expect(withoutResult).toEqual([]);
  // Dense training stands beside them whether it is of the list or not.
  const waysOf = (name: string) => costs.filter(({ variant }) => variant === name);
  expect([...new Set(costs.map(({ variant }) => variant))]).toEqual(['dense', 'lora', 'dense+muon']);
  expect(waysOf('dense').map(({ recompute }) => recompute)).toEqual(['none', 'cheap', 'layer']);
  for (const { peakBytes, allocatedBytes, timeOfDense } of costs) {
    expect(allocatedBytes).toBe(peakBytes);
    expect(timeOfDense).toBeGreaterThan(0);
  }
  expect(costs[0]!.timeOfDense).toBe(1);
  for (const file of Object.values(files)) expect(readFileSync(file, 'utf8').length).toBeGreaterThan(1000);
});

test.each([
  [['--tokenizer', 'bytes'], /--tokenizer belongs to --data/],
  [['--dtype', 'f16'], /'f16' is invalid/],
])('bench quality %j is refused before anything is trained', async (args, complaint) => {
  const { code, stderr } = await runCommand(['bench', 'quality', ...tiny, ...args], { cwd: folder });
  expect(code).toBe(2);
  expect(stderr).toMatch(complaint);
});

test('bench quality trains on a text of its own, and says which methods never stayed finite', async () => {
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'one two three four five six seven eight nine ten '.repeat(40));
  const rates = ['--matrix-rates', '1e30', '--other-rates', '1e30', '--seeds', '1', '--steps', '4'];
  const { results, withoutResult, corpus, gradientAccumulationSteps } = await benchJson<{
    results: object[];
    withoutResult: string[];
    corpus: string;
    gradientAccumulationSteps: number;
  }>('quality', ...tiny, ...rates, '--methods', 'dense', '--data', text, '--accumulation', '2');
  expect({ results, withoutResult, corpus, gradientAccumulationSteps }).toEqual({
    ...{ results: [], withoutResult: ['dense'], corpus: text, gradientAccumulationSteps: 2 },
  });
});

test('bench quality ends at a signal with what is finished in its ledger, and says how to go on', async () => {
  const ledger = join(folder, 'interrupted.jsonl');
  const args = ['--steps', '100000', '--matrix-rates', '0.001', '--other-rates', '0.01', '--seeds', '1'];
  const { code, stderr } = await runCommand(
    ['bench', 'quality', ...tiny, ...args, '--methods', 'dense', '--rungs', '1', '--ledger', ledger],
    { onOutput: (text, child) => void (text.includes('100000 steps') && child.kill('SIGINT')) },
  );
  expect(code).toBe(130);
  expect(stderr).toContain(`SIGINT: interrupted: 1 finished runs were added to ${ledger}`);
  expect(ledgerRows(ledger)).toEqual([expect.objectContaining({ provider: 'dense', steps: 1 })]);
});
