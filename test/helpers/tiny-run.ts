import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compact } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';

/** A byte-level model of two layers: a step takes about a millisecond. */
export const tinyConfig = {
  vocabSize: 264,
  hiddenSize: 32,
  intermediateSize: 64,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};

/** Options of the method of the tiny run: projections change after every third step. */
export const tinyMethod = { rank: 8, refreshInterval: 3 };

/** A folder of the test's own, with a text in it; removed when the tests of the file are done. */
export function makeFolder(): { readonly folder: string; readonly text: string } {
  const folder = mkdtempSync(join(tmpdir(), 'compact-run-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const text = join(folder, 'text.txt');
  // English enough to be learned: numbers spelled out, no two lines alike.
  const digits = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  const lines = Array.from({ length: 300 }, (_, i) =>
    Array.from(String(i * 37), (d) => digits[Number(d)]).join(' '),
  );
  writeFileSync(text, lines.join('\n'));
  return { folder, text };
}

/** A small run with everything set that a run needs; `change` replaces single options. */
export const tinyRun = (text: string, change: Partial<TrainerOptions> = {}): TrainerOptions => ({
  model: llama(tinyConfig),
  method: compact(tinyMethod),
  data: { train: text },
  batchSize: 2,
  sequenceLength: 16,
  maxSteps: 8,
  learningRate: 0.01,
  threads: 1,
  ...change,
});
