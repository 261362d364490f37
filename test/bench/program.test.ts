/** scripts/bench: what runs from a checkout alone. */
import { afterAll, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CellResult } from '../../bench/commands/cell.js';
import { runBench } from '../cli/run-command.js';

const folder = mkdtempSync(join(tmpdir(), 'compact-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(['kernels', 'cell', 'losses'])(
  'help of %s shows an example and the global options',
  async (name) => {
    const { code, stdout } = await runBench([name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}scripts\/bench /);
    expect(stdout).toContain('--json');
  },
);

test('wrong usage ends with code 2 and the nearest known name', async () => {
  const { code, stdout, stderr } = await runBench(['losess']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^error: [^]*Did you mean losses\?/);
});

test('kernels times each operation and fills the ledger', async () => {
  const ledger = join(folder, 'kernels.jsonl');
  const size = ['--tokens', '64', '--hidden', '32', '--ffn', '64', '--heads', '2', '--vocabulary', '100'];
  const words = ['kernels', ...size, '--repeats', '2', '--ledger', ledger, '--json'];
  const { code, stdout, stderr } = await runBench(words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { rows } = JSON.parse(stdout) as { rows: { op: string; p50: number }[] };
  expect(rows.map(({ op }) => op)).toEqual(expect.arrayContaining(['matmul', 'project', 'attention']));
  for (const { p50 } of rows) expect(p50).toBeGreaterThan(0);
  const written = readFileSync(ledger, 'utf8').trim().split('\n');
  expect(written).toHaveLength(rows.length);
  expect(JSON.parse(written[0]!)).toMatchObject({
    case: 'matmul', unit: 'us', dtype: 'f32', device: expect.any(String), date: expect.any(String),
  }); // prettier-ignore
});

test('cell plans moments of the dtype that was asked for', async () => {
  const plannedWith = async (stateDtype: string): Promise<number> => {
    const words = [
      'cell',
      '--model',
      'llama-demo',
      '--batch',
      '1',
      '--sequence',
      '16',
      '--plan-only',
      '--json',
    ];
    const { stdout } = await runBench([...words, '--method', 'compact', '--state-dtype', stateDtype]);
    return (JSON.parse(stdout) as CellResult).plannedBytes;
  };
  const plans = [await plannedWith('f32'), await plannedWith('bf16')] as const;
  expect(plans[0] - plans[1]).toBeGreaterThan(2 ** 21); // two bytes less for each of more than a million moments
});

test('cell times steps of one method, within what was planned', async () => {
  const size = ['--model', 'llama-demo', '--batch', '1', '--sequence', '16', '--dtype', 'f32'];
  const { code, stdout, stderr } = await runBench([
    'cell',
    ...size,
    '--warmup',
    '1',
    '--steps',
    '2',
    '--json',
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const cell = JSON.parse(stdout) as CellResult & { type: string };
  expect(cell).toMatchObject({ type: 'bench-cell', fits: true, batch: 1 });
  expect(cell.msPerStep).toHaveLength(2);
  expect(cell.losses).toHaveLength(3);
  expect(cell.memory!.allocatedBytes).toBe(cell.plannedBytes);
});
