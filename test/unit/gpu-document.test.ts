/** What docs/gpu.md says of ops and architectures is what the sources and the ledger hold. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { opFamilies } from '../../lib/graph/index.js';

const read = (name: string): string => readFileSync(join(__dirname, '..', '..', name), 'utf8');

/** Cells of the table whose heading begins with a word, without the heading. */
function table(heading: string): string[][] {
  const [, after = ''] = read('docs/gpu.md').split(new RegExp(`^\\| ${heading} \\|.*\\n.*\\n`, 'm'));
  const lines = after.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Architectures with a passed test on a GPU, as compute capabilities without the point. */
function testedCapabilities(): Set<string> {
  const ledger = join(__dirname, '..', '..', 'bench', 'results', 'gpu-check.jsonl');
  if (!existsSync(ledger)) return new Set();
  const rows = readFileSync(ledger, 'utf8').trim().split('\n');
  return new Set(
    rows
      .map((row) => JSON.parse(row) as { check: string; result: string; computeCapability: string })
      .filter(({ check, result }) => check === 'kernels' && result === 'passed')
      .map(({ computeCapability }) => computeCapability.replace('.', '')),
  );
}

describe('docs/gpu.md', () => {
  test('names every family of ops', () => {
    expect(table('ops of').map(([family]) => family!.replaceAll('`', ''))).toEqual(opFamilies);
  });

  test('names the architectures that the module is compiled for', () => {
    const [, words] = /^ *set\(architectures (80 .*)\)$/m.exec(read('cuda/CMakeLists.txt'))!;
    expect(table('architecture').map(([name]) => name)).toEqual(words!.split(' '));
  });

  test('claims a run on a GPU only where the ledger has one', () => {
    const tested = testedCapabilities();
    for (const [architecture, , , run] of table('architecture'))
      expect([architecture, run === 'not run on a GPU']).toEqual([
        architecture,
        !tested.has(architecture!.replace(/a$/, '')),
      ]);
    for (const [family, , , run] of table('ops of'))
      expect([family, run === 'not run on a GPU']).toEqual([family, tested.size === 0]);
  });
});
