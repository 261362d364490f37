/** Metrics against what scikit-learn 1.9 and SciPy 1.17 give for the same lists. */
import { describe, expect, test } from '@jest/globals';
import {
  accuracy,
  f1,
  macroF1,
  matthewsCorrelation,
  pearsonCorrelation,
  spearmanCorrelation,
} from '../../lib/train/evaluation/metrics/index.js';
import { readJson } from '../helpers/fixtures.js';

interface Recorded {
  readonly classes: readonly ({
    readonly predictions: number[];
    readonly labels: number[];
  } & Readonly<Record<'accuracy' | 'f1' | 'macroF1' | 'matthews', number>>)[];
  readonly numbers: readonly ({
    readonly predictions: number[];
    readonly labels: number[];
  } & Readonly<Record<'pearson' | 'spearman', number>>)[];
}

const recorded = readJson('metrics.json') as Recorded;

describe('metrics of classes', () => {
  test.each(recorded.classes.map((one, index) => [index, one] as const))('list %d', (_, one) => {
    const { predictions, labels } = one;
    expect(accuracy(predictions, labels)).toBeCloseTo(one.accuracy, 12);
    expect(f1(predictions, labels)).toBeCloseTo(one.f1, 12);
    expect(macroF1(predictions, labels)).toBeCloseTo(one.macroF1, 12);
    expect(matthewsCorrelation(predictions, labels)).toBeCloseTo(one.matthews, 12);
  });
});

describe('metrics of numbers', () => {
  test.each(recorded.numbers.map((one, index) => [index, one] as const))('list %d', (_, one) => {
    const { predictions, labels } = one;
    expect(pearsonCorrelation(predictions, labels)).toBeCloseTo(one.pearson, 12);
    expect(spearmanCorrelation(predictions, labels)).toBeCloseTo(one.spearman, 12);
  });

  test('what does not vary has no correlation', () => {
    expect(pearsonCorrelation([1, 1, 1], [1, 2, 3])).toBeNaN();
  });
});

test.each([
  [[], []],
  [[1], [1, 0]],
])('%j for %j is refused', (predictions, labels) => {
  for (const metric of [accuracy, f1, macroF1, matthewsCorrelation, pearsonCorrelation, spearmanCorrelation])
    expect(() => metric(predictions, labels)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_ARGUMENT', op: 'predictions' }),
    );
});
