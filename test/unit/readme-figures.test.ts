/** Figures of README are those of the planner and of the ledgers, and can be repeated by the commands beside them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { alternatives } from '../../lib/cli/plan-variants.js';
import { plannedThreads } from '../../lib/cli/planned-threads.js';
import {
  adalomo,
  compact,
  dense,
  galore,
  lomo,
  lora,
  loraFa,
  type Method,
  mesa,
  qlora,
  relora,
} from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';

const root = join(__dirname, '..', '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** Cells of the table whose first head is `head`, without marks. */
function tableOf(head: string): string[][] {
  const lines = readme.split('\n');
  const begin = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  expect(begin).toBeGreaterThanOrEqual(0);
  const end = lines.findIndex((line, index) => index > begin && !line.startsWith('|'));
  return lines.slice(begin, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.replaceAll('*', '').trim()),
  );
}

const rowsOf = (ledger: string): Record<string, unknown>[] =>
  readFileSync(join(root, 'bench', 'results', ledger), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('planned peaks', () => {
  const [head, , ...rows] = tableOf('model, tokens');

  test('have the columns of plan', () => {
    expect(head!.slice(1).map((name) => name.replaceAll(/,| recompute/g, ''))).toEqual(
      alternatives({
        model: llama('llama-demo'),
        method: dense(),
        target: cpuTarget({ threads: plannedThreads }),
        batchSize: 1,
        sequenceLength: 8,
        dtype: 'bf16',
      }).map(({ name }) => name.replaceAll(/,| recompute/g, '')),
    );
  });

  test.each(rows)('%s', (shape, ...cells) => {
    const [, size, batch, sequence] = /^(\w+), (\d+) x (\d+)$/.exec(shape)!;
    const variants = alternatives({
      model: llama(`llama-${size!.toLowerCase()}`),
      method: dense(),
      target: cpuTarget({ threads: plannedThreads }),
      batchSize: Number(batch),
      sequenceLength: Number(sequence),
      dtype: 'bf16',
      entries: ['train'],
    });
    expect(cells).toEqual(
      variants.map(({ options }) =>
        (compile({ ...options, entries: ['train'] }).peakBytes / 2 ** 30).toFixed(2),
      ),
    );
  });
});

describe('every method', () => {
  const ofTables = { embeddingOptimizer: 'adafactor' } as const;
  const smallest = { rank: 8, store: 'lazy', optimizer: 'scale', ...ofTables, embeddingChunk: 8192 } as const;
  const methods: Readonly<Record<string, Method>> = {
    'dense AdamW': dense(),
    'dense AdamW, 8-bit states': dense({ optimizer: 'adamw-8bit' }),
    'dense Muon': dense({ optimizer: 'muon' }),
    'dense Lion': dense({ optimizer: 'lion' }),
    'dense APOLLO-Mini': dense({ optimizer: 'apollo-mini' }),
    'dense SCALE': dense({ optimizer: 'scale' }),
    'dense Adafactor': dense({ optimizer: 'adafactor' }),
    'dense layers in int8, SCALE; tables by Adafactor': dense({
      weights: 'int8',
      optimizer: 'scale',
      ...ofTables,
    }),
    'compact n/4, AdamW': compact({ store: 'lazy' }),
    'compact n/4, AdamW, 8-bit states': compact({ store: 'lazy', optimizer: 'adamw-8bit' }),
    'compact n/4, SCALE; tables by Adafactor': compact({ store: 'lazy', optimizer: 'scale', ...ofTables }),
    'compact r 8, layers in int8, SCALE; tables by Adafactor': compact({
      rank: 8,
      store: 'lazy',
      weights: 'int8',
      optimizer: 'scale',
      ...ofTables,
    }),
    'compact r 8, SCALE; tables by Adafactor, 8192 rows at a time': compact(smallest),
    'compact the same, layers in int8': compact({ ...smallest, weights: 'int8' }),
    'galore n/4, AdamW': galore(),
    'galore n/4, layers in int8, AdamW, 8-bit states; tables by Adafactor': galore({
      optimizer: 'adamw-8bit',
      weights: 'int8',
      ...ofTables,
    }),
    'mesa AdamW': mesa(),
    'lomo ': lomo(),
    'adalomo ': adalomo(),
    'relora r 128, AdamW': relora(),
    'lora r 16, all layers': lora({ r: 16, targetModules: 'all-linear' }),
    'lora-fa r 16': loraFa({ r: 16 }),
    'qlora r 16': qlora({ r: 16 }),
    'qlora r 16, tables in int8': qlora({ r: 16, embeddingWeights: 'int8' }),
  };
  const [head, , ...rows] = tableOf('method | with');

  test('has its rows', () => {
    expect(rows.map(([method, options]) => `${method} ${options}`)).toEqual(Object.keys(methods));
  });

  test.each(rows)('%s, %s', (method, options, ...cells) => {
    for (const [index, cell] of cells.entries()) {
      const [, size, batch, sequence] = /^(?:LLaMA-)?(\S+), (\d+) x (\d+)$/.exec(head![index + 2]!)!;
      const plan = compile({
        model: llama(`llama-${size!.toLowerCase()}`),
        method: methods[`${method} ${options}`]!,
        target: cpuTarget({ threads: plannedThreads }),
        batchSize: Number(batch),
        sequenceLength: Number(sequence),
        dtype: 'bf16',
        gradientDtype: 'bf16',
        recompute: 'layer',
        lossChunkTokens: 256,
        entries: ['train'],
      });
      expect([size, (plan.peakBytes / 2 ** 30).toFixed(2)]).toEqual([size, cell]);
    }
  });
});

describe('times of a step', () => {
  const rows = rowsOf('step-time.jsonl') as unknown as {
    readonly provider: string;
    readonly dtype: string;
    readonly ofDense: number;
    readonly device: string;
  }[];
  const [, , ...steps] = tableOf('step');
  const words = (name: string): string => name.replaceAll(',', '');

  test('have a row for each of ours', () => {
    const named = rows.filter(({ device }) => device === 'AMD EPYC').map(({ provider }) => words(provider));
    expect(steps.map(([name]) => words(name!))).toEqual([...new Set(named)]);
  });

  test.each(steps)('%s', (name, ...cells) => {
    const latest = (dtype: string): number =>
      rows.findLast(
        (row) => words(row.provider) === words(name) && row.dtype === dtype && row.device === 'AMD EPYC',
      )!.ofDense;
    expect(cells).toEqual(['f32', 'bf16'].map((dtype) => latest(dtype).toFixed(2)));
  });
});

describe('losses', () => {
  const rows = rowsOf('quality.jsonl') as unknown as {
    readonly provider: string;
    readonly otherRate: number;
    readonly matrixRate: number;
    readonly loss: number;
  }[];
  const [, , ...methods] = tableOf('loss');
  const mean = (losses: readonly number[]): number => losses.reduce((a, b) => a + b) / losses.length;

  /** Losses of the best cell of a method: of those with all seeds, the one with the lowest mean. */
  function bestCell(provider: string): { rates: string; losses: number[] } {
    const cells = new Map<string, number[]>();
    for (const row of rows.filter((each) => each.provider === provider)) {
      const rates = `${row.otherRate}, ${row.matrixRate}`;
      cells.set(rates, [...(cells.get(rates) ?? []), row.loss]);
    }
    const whole = [...cells].filter(([, losses]) => losses.length === 3);
    const [rates, losses] = whole.toSorted(([, a], [, b]) => mean(a) - mean(b))[0]!;
    return { rates, losses };
  }

  test('have a row for each method that was tuned', () => {
    expect(methods.map(([name]) => name)).toEqual([...new Set(rows.map(({ provider }) => provider))]);
  });

  test.each(methods)('%s', (name, ...cells) => {
    const { rates, losses } = bestCell(name);
    expect(cells).toEqual([
      rates,
      mean(losses).toFixed(3),
      `${Math.min(...losses).toFixed(3)} - ${Math.max(...losses).toFixed(3)}`,
      (mean(losses) / mean(bestCell('dense').losses)).toFixed(3),
    ]);
  });
});

test('the composition of the search is as its page has it', () => {
  const page = readFileSync(join(root, 'docs', 'quality.md'), 'utf8').split('### 10.8M parameters')[1]!;
  const line = page
    .split('\n')
    .find((one) => one.startsWith('| `compact+muon:store=lazy:savedActivations=int8`'))!;
  const [, , , , , ofDense, peak, withLayers, times] = line.split('|').map((cell) => cell.trim());
  const said = readme.replaceAll(/\s+/g, ' ');
  expect(ofDense).toMatch(/^-/);
  expect(said).toContain(
    `ended ${ofDense!.slice(1)} below dense AdamW (three seeds, each at the best of nine pairs of rates) at ${peak} of its plain ` +
      `peak, or ${withLayers} with layer checkpointing, in ${times!.replace(', ', ' and ')} of its time a step`,
  );
});
