/** scripts/bench finetune: which runs a sweep has, which rate it chooses, and what it keeps of each run. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSweep, runSweep, type Judged, type Sweep, type SweepCell } from '../../bench/finetune/sweep.js';
import type { FinetuneRow } from '../../bench/commands/finetune.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';
import { runBench } from '../cli/run-command.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { makeFolder } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();

describe('the order of runs', () => {
  const sweep = {
    seeds: [1, 2, 3],
    contenders: {
      full: { method: { name: 'dense' }, learningRates: [0.1, 0.2, 0.4] },
      lora: { method: { name: 'lora' }, learningRates: [1, 2] },
    },
  };
  const sweptWith = async (judge: (cell: SweepCell) => Judged, chosen: Pick<Sweep, 'seeds'> = sweep) => {
    const cells: SweepCell[] = [];
    const results = await runSweep({ ...sweep, ...chosen }, async (cell) => {
      cells.push(cell);
      return { ...judge(cell), ...cell };
    });
    return { cells, results };
  };
  const ratesOf = (results: readonly { readonly learningRate: number }[]): number[] =>
    results.map(({ learningRate }) => learningRate);

  test('is every rate with the first seed, then the best with the others', async () => {
    const { cells, results } = await sweptWith(({ learningRate }) => ({
      heldOut: { loss: Math.abs(learningRate - 0.2) },
    }));
    expect(cells.map(({ contender, learningRate, seed }) => `${contender} ${learningRate} ${seed}`)).toEqual([
      ...['full 0.1 1', 'full 0.2 1', 'full 0.4 1', 'full 0.2 2', 'full 0.2 3'],
      ...['lora 1 1', 'lora 2 1', 'lora 1 2', 'lora 1 3'],
    ]);
    expect(results.map(({ runs }) => runs.map(({ seed }) => seed))).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(results.map(({ isAtEdge }) => isAtEdge)).toEqual([false, true]);
  });

  test('the test data chooses nothing, and accuracy comes before loss', async () => {
    const { results } = await sweptWith(({ learningRate }) => ({
      heldOut: { loss: learningRate, accuracy: learningRate },
      test: { loss: learningRate, accuracy: -learningRate },
    }));
    expect(ratesOf(results)).toEqual([0.4, 2]);
  });

  test('a run that diverged is worse than any other', async () => {
    const { results } = await sweptWith(({ learningRate }) =>
      learningRate === 0.1 || learningRate === 1 ? {} : { heldOut: { loss: learningRate } },
    );
    expect(ratesOf(results)).toEqual([0.2, 2]);
  });
});

describe('a sweep on disk', () => {
  const records = join(folder, 'letters.csv');
  const held = join(folder, 'more-letters.csv');
  const ledger = join(folder, 'finetune.jsonl');
  const rows = (): FinetuneRow[] =>
    readFileSync(ledger, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as FinetuneRow);
  const yaml = (sweep: Readonly<Record<string, unknown>>): string => {
    const file = join(folder, 'sweep.yaml');
    writeFileSync(file, JSON.stringify(sweep)); // which is YAML
    return file;
  };
  const classes = {
    case: 'letters',
    model: join(folder, 'encoder'),
    test: held,
    seeds: [1, 2],
    options: {
      data: { records, classes: ['first', 'second', 'third'], validationFraction: 0.2 },
      ...{ batchSize: 8, sequenceLength: 12, maxSteps: 40, lrSchedulerType: 'constant' },
    },
    contenders: {
      full: { method: { name: 'dense' }, learningRates: [0.000001, 0.01] },
      'compact r=8': { method: { name: 'compact', rank: 8 }, learningRates: [0.02] },
    },
  };

  beforeAll(async () => {
    // The class of a text is told by one of its letters.
    const names = ['first', 'second', 'third'];
    const lines = Array.from(
      { length: 60 },
      (_, i) => `${'abc'[i % 3]!.repeat(1 + (i % 4))},${names[i % 3]}`,
    );
    writeFileSync(records, ['text,label', ...lines].join('\n'));
    writeFileSync(held, ['text,label', ...lines.slice(0, 12)].join('\n'));
    const shape = { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 };
    const config = { model_type: 'bert', hidden_act: 'gelu', vocab_size: 257, max_position_embeddings: 16 };
    const encoder = modelFromPretrainedConfig({ ...config, ...shape, architectures: ['BertForMaskedLM'] });
    await writeModelFolder(classes.model, encoder);
    await writeModelFolder(join(folder, 'decoder'), modelOfBytes('llama3'));
  });

  test('keeps each run with what it learnt, held and took', async () => {
    const words = ['finetune', yaml(classes), '--threads', '1', '--ledger', ledger];
    const { code, stdout, stderr } = await runBench(words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/full +0\.01\* +\d/);
    expect(rows().map(({ provider, learningRate, seed }) => [provider, learningRate, seed])).toEqual([
      ['full', 0.000001, 1],
      ['full', 0.01, 1],
      ['full', 0.01, 2],
      ['compact r=8', 0.02, 1],
      ['compact r=8', 0.02, 2],
    ]);
    const [untrained, full, , compact] = rows();
    // Twelve texts of three classes: what is not trained takes nearly one class for all of them.
    expect(untrained!.test!.accuracy).toBeLessThan(0.7);
    expect(full!.test!.accuracy).toBeGreaterThan(0.9);
    expect(full).toMatchObject({ case: 'letters', metric: 'test accuracy', shape: '8x12', steps: 40 });
    expect(full).toMatchObject({ device: expect.any(String), date: expect.any(String), threads: 1 });
    expect(full!.recomputedBytes).toBeLessThan(full!.plannedBytes);
    expect(compact!.plannedBytes).toBeLessThan(full!.plannedBytes);
    expect(full!.trainLosses).toHaveLength(10);
    expect(full!.trainLosses.at(-1)).toBeLessThan(full!.trainLosses[0]!);
    expect(full!.dataWaitShare).toBeGreaterThan(0);
    expect(full!.dataWaitShare).toBeLessThan(1);
  });

  test('finds finished runs again, unless a file has changed since', async () => {
    const words = ['finetune', yaml(classes), '--threads', '1', '--ledger', ledger, '--json'];
    const again = await runBench(words);
    expect(again.code).toBe(0);
    expect(rows()).toHaveLength(5);
    const { results } = JSON.parse(again.stdout) as { results: { runs: FinetuneRow[] }[] };
    expect(results[0]!.runs[0]).toEqual(rows()[1]);
    writeFileSync(held, `${readFileSync(held, 'utf8')}\na,first`);
    expect((await runBench([...words, '--contenders', 'compact r=8'])).code).toBe(0);
    expect(rows().map(({ provider }) => provider)).toEqual([
      ...['full', 'full', 'full', 'compact r=8', 'compact r=8'],
      ...['compact r=8', 'compact r=8'],
    ]);
  });

  test('text is trained on as in a recipe, and judged by its loss', async () => {
    const sweep = {
      ...{ case: 'text', model: join(folder, 'decoder'), seeds: [1] },
      options: { data: { train: text }, batchSize: 2, sequenceLength: 16, maxSteps: 4, evalSteps: 2 },
      contenders: { full: { method: { name: 'dense' }, learningRates: [0.001] } },
    };
    const { code, stdout } = await runBench(['finetune', yaml(sweep), '--threads', '1', '--json']);
    expect(code).toBe(0);
    const [{ runs }] = (JSON.parse(stdout) as { results: [{ runs: [FinetuneRow] }] }).results;
    expect(runs[0]).toMatchObject({ metric: 'held-out loss', unit: 'nats', steps: 4 });
    expect(runs[0].evaluations.map(({ step }) => step)).toEqual([2, 4]);
    expect(runs[0].heldOut!.loss).toBe(runs[0].evaluations[1]!.loss);
    expect(runs[0]).not.toHaveProperty('test');
  });

  test('what a sweep is wrong in is named', async () => {
    expect(() => readSweep(yaml({ ...classes, seeds: [] }))).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', expected: 'a list of seeds' }),
    );
    expect(() => readSweep(yaml({ ...classes, contenders: { full: { method: {}, rates: [1] } } }))).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' }),
    );
    const { code, stderr } = await runBench(['finetune', yaml(classes), '--contenders', 'ful']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean full?');
  });
});
