import { describe, expect, test } from '@jest/globals';
import { tradeOffFigure } from '../../lib/cli/bench/quality/charts/trade-off-figure.js';
import { frontNumbers, tradeOffPlot } from '../../lib/cli/bench/quality/charts/trade-off-plot.js';
import { qualityPage } from '../../lib/cli/bench/quality/page/page.js';
import {
  besideSelective,
  paretoFront,
  tradeOffName,
  tradeOffs,
  type QualityReport,
} from '../../lib/cli/bench/quality/quality-report.js';
import type { QualityResult } from '../../lib/cli/bench/quality/quality-sweep.js';
import type { StepCost } from '../../lib/cli/bench/quality/step-costs.js';

const result = (variant: string, meanLoss: number): QualityResult => ({
  variant, meanLoss, lowestLoss: meanLoss - 0.01, highestLoss: meanLoss + 0.01, ofFirst: meanLoss / 2,
  matrixRate: 0.001, otherRate: 0.02, seeds: [1, 2], atEdgeOf: ['matrixRate'],
}); // prettier-ignore

const cost = (
  variant: string,
  recompute: StepCost['recompute'],
  peakBytes: number,
  timeOfDense = 1,
): StepCost => ({
  variant, recompute, peakBytes, allocatedBytes: peakBytes, timeOfDense, tokensPerSecond: 1000 / timeOfDense,
  byKind: { parameter: peakBytes / 4, activation: peakBytes / 2, optimizerState: peakBytes / 4 },
}); // prettier-ignore

const MiB = 2 ** 20;
const report: QualityReport = {
  type: 'bench-quality',
  createdAt: '2025-06-01T12:00:00.000Z',
  machine: {
    version: '1.0.0', node: '20', platform: 'linux-x64', cpu: 'Example <CPU>', cores: 2, threads: 2, instructionSet: 'avx2',
    memoryBytes: 2 ** 33,
  }, // prettier-ignore
  ...{ model: 'llama-demo', numParameters: 1.9e6, corpus: 'a <corpus>', batchSize: 8, sequenceLength: 64 },
  ...{ gradientAccumulationSteps: 1, dtype: 'f32', steps: 300 },
  grid: { variants: [], contenders: [], rungs: [100], seeds: [1, 2], finalists: 1 },
  results: [result('dense', 2), result('small', 2.1), result('large', 2.2), result('lora', 4)],
  withoutResult: ['wild'],
  runs: [],
  costs: [
    cost('dense', 'none', 100 * MiB),
    cost('dense', 'cheap', 80 * MiB, 1.05),
    cost('dense', 'layer', 50 * MiB, 1.3),
    cost('small', 'none', 40 * MiB, 0.9),
    cost('small', 'layer', 30 * MiB, 1.2),
    cost('large', 'none', 90 * MiB, 1.1),
    cost('lora', 'none', 20 * MiB, 0.8),
    cost('wild', 'none', 10 * MiB, 0.8),
  ],
};
const points = tradeOffs(report);
const named = (name: string) => points.find((point) => tradeOffName(point) === name)!;

test('a front is what no other beats in one thing without losing in the other', () => {
  const places: [number, number][] = [[1, 9], [2, 5], [2, 6], [3, 5], [4, 1], [4, 1], [5, 0.5], [6, 3]]; // prettier-ignore
  expect(paretoFront(places, (place) => place)).toEqual([[1, 9], [2, 5], [4, 1], [4, 1], [5, 0.5]]); // prettier-ignore
});

describe('trade-offs', () => {
  test('are every method with a result under every policy, the largest peak first, beside both baselines', () => {
    expect(points.map(tradeOffName)).toEqual([
      'dense', 'large', 'dense, selective recompute', 'dense, layer checkpointing', 'small', 'small, layer checkpointing', 'lora',
    ]); // prettier-ignore
    expect(named('small')).toMatchObject({ shareOfPlain: 0.4, shareOfSelective: 0.5, lossOfDense: 1.05 });
    expect(named('small').perplexity).toBeCloseTo(Math.exp(2.1), 12);
  });

  test('on the front are those that no other beats in peak and loss, methods far above dense left out', () => {
    expect(points.filter(({ isOnFront }) => isOnFront).map(tradeOffName)).toEqual([
      'dense, layer checkpointing', 'small, layer checkpointing',
    ]); // prettier-ignore
    expect([...frontNumbers(points)].map(([point, number]) => [tradeOffName(point), number])).toEqual([
      ['small, layer checkpointing', 1],
      ['dense, layer checkpointing', 2],
    ]);
  });

  test('say plainly what is worse than selective recompute', () => {
    expect(points.filter(({ isWorseThanSelective }) => isWorseThanSelective).map(tradeOffName)).toEqual([
      'dense', 'large',
    ]); // prettier-ignore
    expect(besideSelective(named('large'))).toBe('worse: holds no less and has learnt no more');
    expect(besideSelective(named('dense, selective recompute'))).toBe('the baseline');
    expect(besideSelective(named('small'))).toBe('50 % of its bytes');
  });

  test('without a result of dense nothing is compared with its loss', () => {
    const others = tradeOffs({ ...report, results: report.results.slice(1) });
    expect(others.map(({ lossOfDense }) => lossOfDense)).toEqual(others.map(() => undefined));
    expect(others.some(({ isWorseThanSelective }) => isWorseThanSelective)).toBe(false);
  });
});

describe('the picture', () => {
  const size = { width: 400, height: 300 };

  test('places peaks from left to right from 0, losses and speeds from below, and what is far off at the edge', () => {
    const plot = tradeOffPlot(points, 'loss', size);
    const placed = new Map(plot.marks.map(({ tradeOff, x, y }) => [tradeOffName(tradeOff), { x, y }]));
    expect(placed.get('small')!.x / placed.get('dense')!.x).toBeCloseTo(0.4, 9);
    expect(placed.get('small')!.y).toBeGreaterThan(placed.get('dense')!.y);
    expect(placed.get('lora')!.y).toBe(1);
    expect(plot.beyond.map(tradeOffName)).toEqual(['lora']);
    const speed = tradeOffPlot(points, 'speed', size);
    const of = (name: string) => speed.marks.find(({ tradeOff }) => tradeOffName(tradeOff) === name)!.y;
    expect(of('small')).toBeGreaterThan(of('dense'));
    for (const { x, y } of [...plot.marks, ...speed.marks])
      for (const share of [x, y]) expect(share === Math.min(1, Math.max(0, share))).toBe(true);
  });

  test('stands alone, with the names of the front below', () => {
    const svg = tradeOffFigure(report);
    expect(svg).toMatch(/^<svg [^>]*width="960"/);
    expect(svg).toContain(
      '1  small, layer checkpointing: 30.0 MiB, 30 % of plain; loss 2.100, +5.0 %; step 1.20 of dense',
    );
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('the page', () => {
  const page = qualityPage(report);

  test('is one file without requests, and escapes what is not its own', () => {
    expect(page).not.toMatch(/<(link|img|iframe)|src=|@import|url\(/);
    expect(page).toContain('a &lt;corpus&gt;');
    expect(page).toContain('Example &lt;CPU&gt;');
    expect(page.slice(0, page.indexOf('<script>'))).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('has a row for every trade-off, and says who has no result', () => {
    const rows = page.split('<tbody>')[1]!.split('</tbody>')[0]!.match(/<tr>/g)!;
    expect(rows).toHaveLength(points.length);
    expect(page).toContain('stayed finite with every seed: wild.');
    expect(page).toContain('allocated as planned');
  });

  test('every mark says in words what it is', () => {
    const labels = [...page.matchAll(/class="mark" role="img" tabindex="0" [^>]*aria-label="([^"]+)"/g)].map(
      ([, label]) => label!,
    );
    expect(labels).toHaveLength(2 * points.length);
    expect(labels[0]).toBe(
      'dense, held-out loss 2.000, 0.0 % of dense, peak 100 MiB, 100 % of plain, step 1.00 of dense',
    );
  });
});
