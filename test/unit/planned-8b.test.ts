/** The table of 8B in docs/memory.md against the planner. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { compact, dense, lora, qlora, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';

const model = llama('llama-3-8b');
const smallest = {
  rank: 8,
  store: 'lazy',
  optimizer: 'scale',
  embeddingOptimizer: 'adafactor',
  embeddingChunk: 8192,
} as const;
const methods: Readonly<Record<string, Method>> = {
  'dense, AdamW with 8-bit states': dense({ optimizer: 'adamw-8bit' }),
  'compact r 8, SCALE; tables by Adafactor, 8192 rows at a time': compact(smallest),
  'the same, layers in int8': compact({ ...smallest, weights: 'int8' }),
  'lora r 16, all layers': lora({ r: 16, targetModules: 'all-linear' }),
  'qlora r 16': qlora({ r: 16 }),
  'qlora r 16, tables in int8': qlora({ r: 16, embeddingWeights: 'int8' }),
};

const page = readFileSync(join(__dirname, '../../docs/memory.md'), 'utf8').split('\n');
const begin = page.indexOf('| method | 1 x 2048 | 2 x 2048 | 1 x 8192 |');
const rows = page.slice(begin + 2, begin + 2 + Object.keys(methods).length).map((line) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim()),
);

test('the table has all methods', () => {
  expect(rows.map(([name]) => name)).toEqual(Object.keys(methods));
});

test.each(Object.entries(methods))('%s', (name, method) => {
  const [, ...cells] = rows.find(([of]) => of === name)!;
  const sizes = [
    [1, 2048],
    [2, 2048],
    [1, 8192],
  ] as const;
  const peaks = sizes.map(([batchSize, sequenceLength]) => {
    const plan = compile({
      model,
      method,
      target: cpuTarget({ threads: 2 }),
      batchSize,
      sequenceLength,
      dtype: 'bf16',
      gradientDtype: 'bf16',
      recompute: 'layer',
      lossChunkTokens: 256,
      loadedParameters: model.weights.map(({ parameter }) => parameter),
      entries: ['initialize', 'train'],
    });
    return (plan.peakBytes / 2 ** 30).toFixed(2);
  });
  expect(peaks).toEqual(cells);
});
