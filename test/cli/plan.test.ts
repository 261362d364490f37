import { describe, expect, test } from '@jest/globals';
import { objects, RecipeFolder } from './fixture-recipe.js';
import { runCommand } from './run-command.js';

// Each command is a process of its own, and test machines may be busy.
interface PlanJson {
  readonly variant: string;
  readonly peakBytes: number;
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  readonly byKind: Record<string, number>;
  readonly comparison: readonly Figures[];
}

interface Figures {
  readonly variant: string;
  readonly peakBytes: number;
}

const base = ['plan', '-m', 'llama-demo', '-b', '16', '-s', '128'];

async function planJson(...flags: string[]): Promise<PlanJson> {
  const { code, stdout } = await runCommand([...base, ...flags, '--json']);
  expect(code).toBe(0);
  return JSON.parse(stdout) as PlanJson;
}

const states = (plan: PlanJson): number => plan.byKind['optimizerState']!;

describe('plan --json', () => {
  test('has the fields that scripts rely on, and they add up', async () => {
    const plan = await planJson('--method', 'dense');
    expect(Object.keys(plan)).toEqual([
      'variant',
      'peakBytes',
      'persistentBytes',
      'arenaBytes',
      'arenaLowerBoundBytes',
      'byKind',
      'atPeak',
      'planSeconds',
      'comparison',
    ]);
    expect(plan.persistentBytes + plan.arenaBytes).toBe(plan.peakBytes);
    expect(Object.values(plan.byKind).reduce((a, b) => a + b, 0)).toBe(plan.peakBytes);
  });

  test('follows its flags', async () => {
    const dense = await planJson('--method', 'dense');
    const compact = await planJson('--rank-ratio', '0.25');
    const lazy = await planJson('--method', 'compact', '-r', '1/4', '--store', 'lazy');
    const byWeight = await planJson('--rank-ratio', '0.25', '--sharing', 'weight');
    const layer = await planJson('--method', 'dense', '--recompute', 'layer');
    const published = await planJson('--method', 'dense', '--accounting', 'published');
    const accumulated = await planJson('--method', 'dense', '-g', '2');
    expect(states(compact)).toBeLessThan(states(dense));
    expect(lazy.byKind['compressedActivation'] ?? 0).toBeLessThan(compact.byKind['compressedActivation']!);
    expect(byWeight.byKind['compressedActivation']).toBeGreaterThan(compact.byKind['compressedActivation']!);
    expect(layer.peakBytes).toBeLessThan(dense.peakBytes);
    // Moments in bfloat16 and gradients that stay alive.
    expect(states(published)).toBe(states(dense) / 2);
    expect(published.byKind['gradient']).toBeGreaterThan(dense.byKind['gradient']!);
    expect(accumulated.byKind['gradient']).toBeGreaterThan(dense.byKind['gradient']!);
  });

  test('shows both baselines beside every method, with the bytes that their own plans have', async () => {
    const { comparison, peakBytes, variant } = await planJson('--rank', '64', '--state-format', 'bf16');
    expect(variant).toBe('compact rank 64, stored');
    const names = ['dense, plain', 'dense, selective recompute', variant];
    expect(comparison.map((one) => one.variant)).toEqual(names);
    const plain = await planJson('--method', 'dense', '--state-format', 'bf16');
    const selective = await planJson('--method', 'dense', '--state-format', 'bf16', '--recompute', 'cheap');
    expect(comparison.map((one) => one.peakBytes)).toEqual([plain.peakBytes, selective.peakBytes, peakBytes]);
  });

  test('is the same on every machine: for two threads where none are named', async () => {
    const { peakBytes } = await planJson('--method', 'dense');
    expect((await planJson('--method', 'dense', '-t', '2')).peakBytes).toBe(peakBytes);
    expect((await planJson('--method', 'dense', '--threads', '1')).peakBytes).not.toBe(peakBytes);
  });
});

describe('plan', () => {
  test('without a method compares the methods, from what everybody runs to what holds least', async () => {
    const { code, stdout, stderr } = await runCommand(base);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^llama-demo: 16 x 128 = 2,048 tokens, bf16, for 2 threads\n/);
    const [header, ...rows] = stdout.split('\n').filter((line) => /of plain dense| %/.test(line));
    expect(header).toMatch(/method +peak +of plain dense$/);
    expect(rows.map((row) => row.trim().split(/ {2,}/)[0])).toEqual([
      'dense, plain',
      'dense, selective recompute',
      'dense, layer checkpointing',
      'compact n/4, stored',
      'compact n/4, lazy',
      'compact n/4, lazy, layer checkpointing',
    ]);
  });

  test('takes a rank to mean compact', async () => {
    const { stdout } = await runCommand([...base, '--rank-ratio', '1/8']);
    expect(stdout).toMatch(/^llama-demo, compact n\/8, stored: /);
  });

  test('refuses a rank beside dense, and says what to do', async () => {
    const { code, stdout, stderr } = await runCommand([...base, '--method', 'dense', '--rank-ratio', '0.5']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /dense has no use for --rank-ratio[^]*remedy {4}Give --method compact, or leave out/,
    );
  });

  test('refuses a policy that belongs to no method', async () => {
    const { code, stderr } = await runCommand([...base, '--recompute', 'layer']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/remedy {4}Add --method dense or --method compact/);
  });

  test('of a recipe is what training it allocates', async () => {
    using folder = new RecipeFolder();
    const { path } = folder.recipe({ threads: 2, maxSteps: 1, outputDirectory: null });
    const planned = JSON.parse((await runCommand(['plan', path, '--json', '-b', '3'])).stdout) as PlanJson;
    const started = await runCommand(['train', path, '--json', '-b', '3']);
    expect(objects(started.stdout)[0]).toMatchObject({ plannedBytes: planned.peakBytes });
    expect(planned.variant).toBe('compact n/2, stored');
  });

  test('of a packaged recipe takes flags over it, and one rank for the other', async () => {
    const { stdout } = await runCommand(['plan', 'quickstart', '--rank', '16', '--dtype', 'bf16']);
    expect(stdout).toMatch(/^llama-demo, compact rank 16, lazy: 8 x 256 = 2,048 tokens, bf16/);
  });
});

describe('plan --memory-limit', () => {
  test('says the largest batch of each method', async () => {
    const { code, stdout } = await runCommand([...base, '--json', '--memory-limit', '200MiB']);
    expect(code).toBe(0);
    const { fits, memoryBytes, largestBatches } = JSON.parse(stdout) as {
      fits: boolean;
      memoryBytes: number;
      largestBatches: { variant: string; batch: number; peakBytes: number }[];
    };
    expect({ fits, memoryBytes }).toEqual({ fits: true, memoryBytes: 200 * 2 ** 20 });
    expect(largestBatches.map(({ variant }) => variant)).toContain('compact n/4, lazy');
    for (const { peakBytes } of largestBatches) expect(peakBytes).toBeLessThanOrEqual(memoryBytes);
  });

  test('that is too small: exit code 3 and three remedies whose bytes are true', async () => {
    const dense = [...base, '--method', 'dense', '-b', '64', '--json'];
    const { code, stdout } = await runCommand([...dense, '--memory-limit', '80MiB']);
    expect(code).toBe(3);
    const { fits: planFits, remedies } = JSON.parse(stdout) as {
      fits: boolean;
      remedies: { change: string; peakBytes: number; fits: boolean }[];
    };
    expect(planFits).toBe(false);
    expect(remedies).toHaveLength(3);
    for (const { change, peakBytes, fits } of remedies) {
      const changed = JSON.parse((await runCommand([...dense, ...change.split(' ')])).stdout) as PlanJson;
      expect(changed.peakBytes).toBe(peakBytes);
      expect(fits).toBe(peakBytes <= 80 * 2 ** 20);
    }
  });

  test('tells people the same on standard error', async () => {
    const { code, stderr } = await runCommand([...base, '--method', 'dense', '--memory-limit', '25MiB']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/ERR_COMPACT_DOES_NOT_FIT/);
    expect(stderr.match(/--[\w-]+ .* needs /g)).toHaveLength(3);
  });

  test('that no method fits into', async () => {
    const { code, stderr } = await runCommand([...base, '--memory-limit', '10MiB']);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /llama-demo fits with none of the methods at 16 x 128 tokens; the nearest is compact/,
    );
  });
});
