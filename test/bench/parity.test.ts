/** docs/parity.md is what the ledger gives, and the ledger has every recorded model. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parityDocuments } from '../../bench/document/files.js';
import { readModel, recordedModels } from '../helpers/model-fixtures.js';

const root = join(__dirname, '../..');
const ledger = readFileSync(join(root, 'bench/results/parity.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Readonly<Record<string, string | number>>);

test('the page is what the ledger gives (npm run docs:benchmarks writes it)', () => {
  for (const [name, contents] of Object.entries(parityDocuments()))
    expect(readFileSync(join(root, name), 'utf8')).toBe(contents);
});

test.each(recordedModels)('%s has its comparisons on the CPU (npm run docs:parity makes them)', (name) => {
  const trained = readModel(name).training === undefined ? [] : ['gradients', 'three steps'];
  const found = ledger.filter(({ shape, backend }) => shape === name && backend === 'cpu');
  expect(new Set(found.map(({ metric }) => metric))).toEqual(new Set(['bf16 logits', 'logits', ...trained]));
});

test('models of the ledger are recorded ones', () => {
  const models = ledger.filter((row) => row['case'] === 'model parity').map(({ shape }) => shape);
  expect(new Set(models)).toEqual(new Set(recordedModels));
});

test('figures are within what the tests hold', () => {
  const limits: Readonly<Record<string, number>> = { logits: 1e-5, 'bf16 logits': 2 };
  for (const row of ledger)
    if (row['case'] === 'model parity')
      expect(row['value'] as number).toBeLessThan(limits[row['metric']!] ?? 1);
    else expect([row['shape'], row['equalIds'], row['equalTexts']]).toEqual([row['shape'], 10_000, 10_000]);
});
