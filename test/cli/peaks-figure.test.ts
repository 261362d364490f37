import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { peaksFigure } from '../../lib/cli/bench/memory/charts/peaks-figure.js';
import { registerMemoryBench } from '../../lib/cli/bench/memory/memory.js';
import { plannedTable } from '../../lib/cli/bench/memory/planned-peaks.js';
import { plannedThreads } from '../../lib/cli/planned-threads.js';
import { printPlanned } from '../../lib/cli/bench/memory/print-report.js';
import { Terminal } from '../../lib/cli/terminal.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { fixtureReport } from './fixture-report.js';

const root = join(__dirname, '..', '..');
const read = (...names: string[]): string => readFileSync(join(root, ...names), 'utf8');

describe('the picture of planned peaks', () => {
  const table = plannedTable('ours', cpuTarget({ threads: plannedThreads }), undefined, ['llama-350m']);
  const [model] = table.models;
  const svg = peaksFigure(table, model!);

  test('in docs/images is what the planner says', () => {
    // To renew it: node dist/cli/main.js bench memory --planned --svg docs/images/peaks.svg
    expect(read('docs', 'images', 'peaks.svg') === `${svg}\n` ? 'equal' : 'stale').toBe('equal');
  });

  test('has the baselines first, then compact, each part from the largest to the smallest', () => {
    const shown = [
      ['dense', 'plain'],
      ['dense, cheap recompute', 'selective recompute'],
      ['dense, layer checkpointing', 'layer checkpointing'],
      ['compact n/4, stored', 'stored'],
      ['compact n/4, lazy', 'lazy'],
      ['compact n/4, lazy, layer checkpointing', 'lazy, layer checkpointing'],
    ];
    const peaks = shown.map(([variant]) => model!.peaks.find((peak) => peak.variant === variant)!);
    expect([...svg.matchAll(/text-anchor="end"[^>]*>([^<]*)</g)].map(([, label]) => label)).toEqual(
      shown.map(([, label]) => label),
    );
    const numbers = peaks.map(({ peakBytes }) => `${(peakBytes / 2 ** 30).toFixed(2)} GiB`);
    const written = [...svg.matchAll(/<text [^>]*>([\d.]+ GiB)(, the smallest)?</g)].filter(([all]) =>
      all.includes('strong'),
    );
    expect(written.map(([, number]) => number)).toEqual(numbers);
    expect(written.map(([, , mark]) => mark !== undefined)).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
    const [plain, selective, checkpointed, , , smallest] = peaks.map(({ peakBytes }) => peakBytes);
    const share = (base: number | undefined): string => `${((100 * smallest!) / base!).toFixed(0)} %`;
    expect(svg).toContain(
      `>${share(checkpointed)} of layer checkpointing, ${share(selective)} of selective, ${share(plain)} of plain<`,
    );
  });

  test('is 900 pixels wide and follows the reader in light and dark', () => {
    expect(svg).toMatch(/^<svg [^>]*width="900"/);
    expect(svg).toContain('(prefers-color-scheme: dark)');
    expect(svg).toContain(`<title id="picture-title">Planned peak memory of llama-350m: dense `);
  });
});

test('the terminal marks the smallest peak of each model, and compares it with every baseline', () => {
  const lines: string[] = [];
  const terminal = new Terminal({});
  terminal.line = (text) => void lines.push(...(text ?? '').split('\n'));
  const report = fixtureReport();
  printPlanned(terminal, report);
  const marked = lines.filter((line) => line.includes('* ')).slice(1);
  expect(marked[0]).toMatch(/^ +compact n\/4, lazy, layer checkpointing +\* [\d.]+ +\* [\d.]+ +\* [\d.]+$/);
  for (const { model, peaks } of report.planned[0]!.models) {
    const smallest = peaks.at(-1)!;
    const shares = peaks
      .slice(0, 3)
      .map((base) => `${((100 * smallest.peakBytes) / base.peakBytes).toFixed(1)} %`);
    const row = lines.find((line) => line.startsWith(`  ${model} `) && line.includes('checkpointing'))!;
    expect(row.trim().split(/ {2,}/)).toEqual([
      model, smallest.variant, (smallest.peakBytes / 2 ** 30).toFixed(2), ...shares,
    ]); // prettier-ignore
  }
});

test('the folder of the report is nothing that git or prettier look at', () => {
  const bench = new Command();
  registerMemoryBench(bench, new Terminal({}));
  const output = bench.commands[0]!.options.find(({ long }) => long === '--output')!.defaultValue as string;
  expect(read('.gitignore').split('\n')).toContain(`/${output}/`);
  expect(read('.prettierignore').split('\n')).toContain(output);
});
