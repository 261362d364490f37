import { describe, expect, jest, test } from '@jest/globals';
import { runCommand } from './run-command.js';

// Each command is a process of its own, and test machines may be busy.
jest.setTimeout(120_000);

interface PlanJson {
  readonly peakBytes: number;
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  readonly byKind: Record<string, number>;
}

const base = [
  'plan',
  '--model',
  'llama-60m',
  '--batch',
  '16',
  '--sequence',
  '256',
  '--dtype',
  'bf16',
  '--json',
];

async function planJson(...flags: string[]): Promise<PlanJson> {
  const { code, stdout } = await runCommand([...base, ...flags]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as PlanJson;
}

const states = (plan: PlanJson): number => plan.byKind['optimizerState']!;

describe('plan --json', () => {
  test('has the fields that scripts rely on, and they add up', async () => {
    const plan = await planJson();
    expect(Object.keys(plan)).toEqual([
      'peakBytes',
      'persistentBytes',
      'arenaBytes',
      'arenaLowerBoundBytes',
      'byKind',
      'atPeak',
      'planSeconds',
    ]);
    expect(plan.persistentBytes + plan.arenaBytes).toBe(plan.peakBytes);
    expect(Object.values(plan.byKind).reduce((a, b) => a + b, 0)).toBe(plan.peakBytes);
  });

  test('follows its flags', async () => {
    const dense = await planJson();
    const compact = await planJson('--method', 'compact', '--rank-ratio', '0.25');
    const lazy = await planJson('--method', 'compact', '--rank-ratio', '1/4', '--store', 'lazy');
    const byWeight = await planJson('--method', 'compact', '--rank-ratio', '0.25', '--sharing', 'weight');
    const layer = await planJson('--recompute', 'layer');
    const published = await planJson('--accounting', 'published');
    expect(states(compact)).toBeLessThan(states(dense));
    expect(lazy.byKind['compressedActivation'] ?? 0).toBeLessThan(compact.byKind['compressedActivation']!);
    expect(byWeight.byKind['compressedActivation']).toBeGreaterThan(compact.byKind['compressedActivation']!);
    expect(layer.peakBytes).toBeLessThan(dense.peakBytes);
    // Moments in bfloat16 and gradients that stay alive.
    expect(states(published)).toBe(states(dense) / 2);
    expect(published.byKind['gradient']).toBeGreaterThan(dense.byKind['gradient']!);
  });
});

const withoutTime = (text: string): string => text.replace(/planned in .*/, '');

test('plan leaves aside what dense has no use for, and says so', async () => {
  const plain = await runCommand(base.slice(0, -1));
  const { code, stdout, stderr } = await runCommand([
    ...base.slice(0, -1),
    '--rank-ratio',
    '0.5',
    '--store',
    'lazy',
  ]);
  expect(code).toBe(0);
  expect(stderr).toContain('--rank-ratio, --store');
  expect(withoutTime(stdout)).toBe(withoutTime(plain.stdout));
});

describe('plan --memory', () => {
  test('says the largest batch of each method', async () => {
    const { code, stdout } = await runCommand([...base, '--memory', '8GiB']);
    expect(code).toBe(0);
    const { fits, memoryBytes, largestBatches } = JSON.parse(stdout) as {
      fits: boolean;
      memoryBytes: number;
      largestBatches: { variant: string; batch: number; peakBytes: number }[];
    };
    expect({ fits, memoryBytes }).toEqual({ fits: true, memoryBytes: 8 * 2 ** 30 });
    expect(largestBatches.map(({ variant }) => variant)).toContain('compact n/4, lazy');
    for (const { peakBytes } of largestBatches) expect(peakBytes).toBeLessThanOrEqual(memoryBytes);
  });

  test('that is too small: exit code 3 and three remedies whose bytes are true', async () => {
    const { code, stdout } = await runCommand([...base, '--batch', '64', '--memory', '1.5GiB']);
    expect(code).toBe(3);
    const { fits: planFits, remedies } = JSON.parse(stdout) as {
      fits: boolean;
      remedies: { change: string; peakBytes: number; fits: boolean }[];
    };
    expect(planFits).toBe(false);
    expect(remedies).toHaveLength(3);
    for (const { change, peakBytes, fits } of remedies) {
      const changed = await planJson('--batch', '64', ...change.split(' '));
      expect(changed.peakBytes).toBe(peakBytes);
      expect(fits).toBe(peakBytes <= 1.5 * 2 ** 30);
    }
  });

  test('tells people the same on standard error', async () => {
    const { code, stderr } = await runCommand([...base.slice(0, -1), '--memory', '300MiB']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/ERR_COMPACT_DOES_NOT_FIT/);
    expect(stderr.match(/--\w+ .* needs /g)).toHaveLength(3);
  });
});
