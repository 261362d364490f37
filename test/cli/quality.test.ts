import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { demoMethods } from '../../lib/cli/bench/memory/demo.js';
import { compactMethod, denseMethod, tunedRecipe } from '../../lib/cli/bench/training/demo-recipe.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { contend, listedContender } from '../../lib/cli/bench/quality/contenders.js';
import { QualityLedger } from '../../lib/cli/bench/quality/quality-ledger.js';
import {
  bestResults,
  sweep,
  type Contender,
  type QualityCell,
  type QualityGrid,
  type QualityRun,
} from '../../lib/cli/bench/quality/quality-sweep.js';
import { methodList } from '../../lib/cli/method-list.js';
import { cpuTarget } from '../../lib/runtime/index.js';

const rates = { matrixRates: [0.001, 0.002, 0.004], otherRates: [0.01, 0.02, 0.04] };
const contendersOf = (...variants: string[]): Contender[] =>
  variants.map((variant) => ({ variant, ...rates }));

const grid: QualityGrid = {
  contenders: contendersOf('dense', 'compact'),
  steps: 500,
  rungs: [],
  seeds: [42, 1, 2],
  finalists: 2,
};

/** Losses as numbers of a bowl around a best cell; the seed moves them a little. */
const bowl = ({ variant, matrixRate, otherRate = 0.02, seed }: QualityCell): number => {
  const [bestMatrix, bestOther] = variant === 'dense' ? [0.002, 0.02] : [0.004, 0.01];
  const distance = Math.log2(matrixRate / bestMatrix) ** 2 + Math.log2(otherRate / bestOther) ** 2;
  return (variant === 'dense' ? 2 : 2.2) + 0.1 * distance + 0.01 * (seed % 40);
};

async function sweptWith(loss: (cell: QualityCell) => number, change: Partial<QualityGrid> = {}) {
  const wanted = { ...grid, ...change };
  const runs = await sweep(wanted, async (cell) => loss(cell));
  return { runs, results: bestResults(wanted, runs) };
}

describe('the sweep', () => {
  test('tries every cell with the first seed, and the best with the others', async () => {
    const { runs } = await sweptWith(bowl);
    for (const { variant } of grid.contenders) {
      const own = runs.filter((run) => run.variant === variant);
      expect(own).toHaveLength(9 + 2 * 2);
      expect(own.slice(0, 9).map(({ seed }) => seed)).toEqual(Array(9).fill(42));
    }
    const finalists = runs.filter(({ seed, variant }) => seed === 1 && variant === 'dense');
    expect(finalists).toHaveLength(2);
    expect(finalists[0]).toMatchObject({ matrixRate: 0.002, otherRate: 0.02 });
  });

  test('judges each method by its mean over the seeds, against the first, and tells the edges', async () => {
    const { results } = await sweptWith(bowl);
    const [dense, compact] = [2 + 0.05 / 3, 2.2 + 0.05 / 3];
    expect(results).toEqual([
      {
        ...{ variant: 'dense', matrixRate: 0.002, otherRate: 0.02, seeds: [42, 1, 2], atEdgeOf: [] },
        ...{ meanLoss: expect.closeTo(dense, 9), lowestLoss: 2.01, highestLoss: 2.02, ofFirst: 1 },
      },
      {
        ...{ variant: 'compact', matrixRate: 0.004, otherRate: 0.01, seeds: [42, 1, 2] },
        ...{ meanLoss: expect.closeTo(compact, 9), lowestLoss: 2.21, highestLoss: 2.22 },
        ...{ ofFirst: expect.closeTo(compact / dense, 9), atEdgeOf: ['otherRate', 'matrixRate'] },
      },
    ]);
  });

  test('a lucky first seed does not win over a better mean', async () => {
    const lucky = (cell: QualityCell) =>
      bowl(cell) - (cell.seed === 42 && cell.matrixRate === 0.001 && cell.otherRate === 0.02 ? 0.15 : 0);
    const { results, runs } = await sweptWith(lucky, { contenders: contendersOf('dense') });
    const [first] = [...runs].sort((a, b) => a.loss - b.loss);
    expect(first!.matrixRate).toBe(0.001);
    expect(results[0]!.matrixRate).toBe(0.002);
  });

  test('a rung trains every cell for its steps and passes on the best third', async () => {
    const { runs, results } = await sweptWith(bowl, { rungs: [50, 150], finalists: 1 });
    for (const { variant } of grid.contenders) {
      const own = runs.filter((run) => run.variant === variant);
      const shape = own.map(({ steps, seed }) => `${steps}/${seed}`);
      expect(shape).toEqual([
        ...Array<string>(9).fill('50/42'),
        ...Array<string>(3).fill('150/42'),
        '500/42',
        '500/1',
        '500/2',
      ]);
    }
    expect(results.map(({ matrixRate, otherRate }) => [matrixRate, otherRate])).toEqual([
      [0.002, 0.02],
      [0.004, 0.01],
    ]);
  });

  test('shorter runs are no results, and a rung in which all diverged is the last', async () => {
    const cells = { rungs: [50], contenders: contendersOf('dense') };
    const { runs, results } = await sweptWith(({ steps }) => (steps === 50 ? Infinity : 1), cells);
    expect(runs).toHaveLength(9);
    expect(results).toEqual([]);
    const { results: whole } = await sweptWith((cell) => bowl(cell) + (cell.steps === 50 ? -1 : 0), cells);
    expect(whole[0]!.meanLoss).toBeCloseTo(2 + 0.05 / 3, 9);
  });

  test('a method that freezes embeddings, head and norms has no rate for them', async () => {
    const { runs, results } = await sweptWith(bowl, {
      contenders: [{ variant: 'dense', ...rates, otherRates: [] }],
      rungs: [50],
    });
    expect(runs.slice(0, 3).map(({ matrixRate }) => matrixRate)).toEqual(rates.matrixRates);
    expect(runs).toHaveLength(3 + 1 + 2);
    for (const run of runs) expect(run).not.toHaveProperty('otherRate');
    expect(results[0]).toMatchObject({ matrixRate: 0.002, atEdgeOf: [] });
  });

  test('a run that diverged is no result', async () => {
    const { results } = await sweptWith((cell) => (cell.matrixRate < 0.004 ? Infinity : bowl(cell)));
    expect(results.map(({ matrixRate }) => matrixRate)).toEqual([0.004, 0.004]);
    const none = await sweptWith((cell) => (cell.variant === 'compact' ? Infinity : bowl(cell)));
    expect(none.results.map(({ variant }) => variant)).toEqual(['dense']);
  });
});

test('the same cell means the same rates for both methods', () => {
  const cell = { matrixRate: 0.002, otherRate: 0.02 };
  const others = { embeddingLearningRate: 0.02, headLearningRate: 0.02, normLearningRate: 0.02 };
  const dense = tunedRecipe(denseMethod, cell, 7, 500);
  const compact = tunedRecipe(compactMethod(0.25), cell, 7, 500);
  expect(dense).toMatchObject({
    ...others,
    learningRate: 0.002,
    seed: 7,
    method: { name: 'dense', seed: 7 },
  });
  expect(compact).toMatchObject({ ...others, method: { updateScale: 0.25, rankRatio: 0.25, seed: 7 } });
  expect((compact.learningRate as number) * 0.25).toBe(0.002);
});

describe('contenders', () => {
  const [tiny, target] = [
    { model: 'llama-demo', batchSize: 1, sequenceLength: 8 },
    cpuTarget({ threads: 1 }),
  ];
  const contender = (word: string) =>
    contend(listedContender(methodList(word)[0]!, 192), rates, tiny, target);

  test('have grids of one size, moved to where the rates of their optimizer lie', () => {
    expect(contender('dense')).toMatchObject(rates);
    expect(contender('compact+muon')).toMatchObject({ ...rates, matrixRates: [0.01, 0.02, 0.04] });
    for (const { word, description } of methodList('all')) {
      const { matrixRates, otherRates } = contender(word);
      expect(matrixRates).toHaveLength(3);
      expect(matrixRates[2]! / matrixRates[0]!).toBeCloseTo(4, 9);
      const areTablesFrozen = ['lora', 'dora', 'lora-fa', 'qlora'].includes(description.name);
      expect([word, otherRates.length]).toEqual([word, areTablesFrozen ? 0 : 3]);
    }
  });

  test('have rank n/4 and intervals of short runs unless their word says otherwise', () => {
    expect(contender('relora').options).toEqual({
      name: 'relora',
      r: 48,
      resetInterval: 100,
      restartWarmupSteps: 10,
    });
    expect(contender('lora:r=4').options).toEqual({ name: 'lora', r: 4 });
    expect(contender('dense').options).toEqual({ name: 'dense' });
  });

  test('are refused before any training where a model is too small for them', () => {
    expect(() => contender('lora:r=4096')).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_RANK' }));
  });

  test('train at rates that act as those of the grid, at none that they have no use for', () => {
    const lora = tunedRecipe(contender('lora'), { matrixRate: 0.01 }, 7, 100, tiny);
    expect(lora).toMatchObject({ learningRate: 0.01, maxSteps: 100, model: 'llama-demo', batchSize: 1 });
    expect(lora).not.toHaveProperty('headLearningRate');
    const galore = tunedRecipe(contender('galore'), { matrixRate: 0.01, otherRate: 0.02 }, 7, 100, tiny);
    expect(galore).toMatchObject({ learningRate: 0.04, normLearningRate: 0.02 }); // its updateScale is 0.25
  });
});

/** The runs that stand in the repository, of the demo's full length. */
function recordedRuns(): QualityRun[] {
  const lines = readFileSync(join(__dirname, '../../bench/results/quality.jsonl'), 'utf8').trim().split('\n');
  return lines
    .map((line) => JSON.parse(line) as QualityRun & { provider: string; shape: string; loss: number | null })
    .filter(({ shape }) => shape === 'llama-demo 8x256, 500 steps')
    .map(({ provider, loss, ...row }) => ({ ...row, variant: provider, steps: 500, loss: loss ?? Infinity }));
}

test("bench memory's demo trains each method at its best rates of the recorded runs", () => {
  const runs = recordedRuns();
  const ratesOf = (axis: 'matrixRate' | 'otherRate') => [...new Set(runs.map((run) => run[axis]!))];
  const [matrixRates, otherRates] = [ratesOf('matrixRate'), ratesOf('otherRate')];
  const contenders = demoMethods.map(({ variant }) => ({ variant, matrixRates, otherRates }));
  const best = bestResults({ contenders, steps: 500, seeds: [42, 1, 2] }, runs);
  expect(best.map(({ variant, matrixRate, otherRate }) => ({ variant, matrixRate, otherRate }))).toEqual(
    demoMethods.map(({ variant, matrixRate, otherRate }) => ({ variant, matrixRate, otherRate })),
  );
});

describe('the ledger of finished runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'compact-quality-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const cell = { variant: 'dense', matrixRate: 0.001, otherRate: 0.02, seed: 1, steps: 500 };
  const recipe = tunedRecipe(denseMethod, cell, 1, 500);

  test('knows a run again by its recipe, whoever opens it', () => {
    const file = join(folder, 'quality.jsonl');
    const ledger = new QualityLedger(file);
    expect(ledger.find(recipe)).toBeUndefined();
    ledger.append(cell, recipe, 1.25, benchDevice('cpu', 3));
    expect(ledger.find(recipe)).toBe(1.25);
    expect(new QualityLedger(file).find(recipe)).toBe(1.25);
    expect(new QualityLedger(file).find({ ...recipe, maxSteps: 501 })).toBeUndefined();
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      case: 'quality',
      shape: 'llama-demo 8x256, 500 steps',
      loss: 1.25,
      threads: 3,
      instructionSet: expect.any(String),
      date: expect.any(String),
    });
  });

  test('a run that diverged is kept as such and not tried again', () => {
    const file = join(folder, 'diverged.jsonl');
    new QualityLedger(file).append(cell, recipe, Infinity, benchDevice('cpu'));
    expect(new QualityLedger(file).find(recipe)).toBe(Infinity);
  });

  test('without a file it remembers; rows of other benchmarks are passed over', () => {
    const ledger = new QualityLedger(undefined);
    ledger.append(cell, recipe, 2, benchDevice('cpu'));
    expect(ledger.find(recipe)).toBe(2);
    const file = join(folder, 'others.jsonl');
    writeFileSync(file, `${JSON.stringify({ case: 'matmul', recipe, loss: 3 })}\n`);
    expect(new QualityLedger(file).find(recipe)).toBeUndefined();
  });

  test('a broken line is named', () => {
    const file = join(folder, 'broken.jsonl');
    writeFileSync(file, '{"case":"quality"}\n{"case":"qua');
    expect(() => new QualityLedger(file)).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_ARGUMENT',
        message: expect.stringContaining('broken.jsonl:2'),
      }),
    );
  });
});
