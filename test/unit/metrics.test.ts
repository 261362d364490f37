/** Metrics against what scikit-learn 1.9 and SciPy 1.17 give for the same lists. */
import { describe, expect, test } from '@jest/globals';
import {
  accuracy,
  f1,
  LabelPredictions,
  macroF1,
  matthewsCorrelation,
  pearsonCorrelation,
  spearmanCorrelation,
} from '../../lib/train/evaluation/metrics/index.js';
import type { Engine, RunResult } from '../../lib/runtime/index.js';
import { readJson } from '../helpers/fixtures.js';

interface Recorded {
  readonly classes: readonly ({
    readonly predictions: number[];
    readonly labels: number[];
  } & Readonly<Record<'accuracy' | 'f1' | 'macroF1' | 'matthews', number>>)[];
  readonly atOnce: readonly {
    readonly numClasses: number;
    readonly predictions: number[];
    readonly labels: number[];
    readonly accuracy: number;
    readonly macroF1: number;
    readonly microF1: number;
  }[];
  readonly numbers: readonly ({
    readonly predictions: number[];
    readonly labels: number[];
  } & Readonly<Record<'pearson' | 'spearman', number>>)[];
}

const recorded = readJson('metrics.json') as Recorded;

const numberField = { name: 'labels', dtype: 'f32', shape: ['batchSize'] } as const;

describe('metrics of classes', () => {
  test.each(recorded.classes.map((one, index) => [index, one] as const))('list %d', (_, one) => {
    const { predictions, labels } = one;
    expect(accuracy(predictions, labels)).toBeCloseTo(one.accuracy, 12);
    expect(f1(predictions, labels)).toBeCloseTo(one.f1, 12);
    expect(macroF1(predictions, labels)).toBeCloseTo(one.macroF1, 12);
    expect(matthewsCorrelation(predictions, labels)).toBeCloseTo(one.matthews, 12);
  });
});

describe('metrics of any number of classes at once', () => {
  test.each(recorded.atOnce.map((one, index) => [index, one] as const))('list %d', async (_, one) => {
    const { numClasses, predictions, labels, accuracy, macroF1, microF1 } = one;
    // What the model reads are its logits: what is above 0 is predicted.
    const run: Engine['run'] = async (_entry, options) =>
      ({ outputs: { logits: options!.inputs!['tokens'] } }) as unknown as RunResult;
    const field = { name: 'labels', dtype: 'i32', shape: ['batchSize', numClasses], numIds: 2 } as const;
    const found = new LabelPredictions({ run }, field, 2);
    const numRows = labels.length / numClasses;
    for (let first = 0; first < numRows; first += 4) {
      const part = (values: readonly number[], otherwise: number): readonly number[] => {
        const own = values.slice(first * numClasses, (first + 4) * numClasses);
        return [...own, ...Array<number>(4 * numClasses - own.length).fill(otherwise)];
      };
      const tokens = Float32Array.from(part(predictions, 1), (one) => one - 0.25);
      const inputs = { tokens, labels: Int32Array.from(part(labels, -100)) };
      await found.add({ inputs, numCountedTokens: 4 * numClasses });
    }
    expect(Object.keys(found.metrics)).toEqual(['accuracy', 'macroF1', 'microF1']);
    expect(found.metrics['accuracy']).toBeCloseTo(accuracy, 12);
    expect(found.metrics['macroF1']).toBeCloseTo(macroF1, 12);
    expect(found.metrics['microF1']).toBeCloseTo(microF1, 12);
  });
});

describe('metrics of numbers', () => {
  test.each(recorded.numbers.map((one, index) => [index, one] as const))('list %d', (_, one) => {
    const { predictions, labels } = one;
    expect(pearsonCorrelation(predictions, labels)).toBeCloseTo(one.pearson, 12);
    expect(spearmanCorrelation(predictions, labels)).toBeCloseTo(one.spearman, 12);
  });

  test('are those of the numbers that a model gives, batch by batch, without sequences that have none', async () => {
    const [one] = recorded.numbers as [Recorded['numbers'][0]];
    // What the model reads is what it gives; its labels are counted, one of -100, too, which is no class.
    const run: Engine['run'] = async (_, options) =>
      ({ outputs: { logits: options!.inputs!['tokens'] } }) as unknown as RunResult;
    const found = new LabelPredictions({ run }, numberField, 2);
    const rows = one.predictions.map((prediction, i) => [prediction, one.labels[i]!] as const);
    for (let first = 0; first < rows.length; first += 4) {
      const some = [...rows.slice(first, first + 4)];
      while (some.length < 4) some.push([99, NaN]);
      const [tokens, labels] = [0, 1].map((side) => Float32Array.from(some, (row) => row[side]!));
      await found.add({ inputs: { tokens: tokens!, labels: labels! }, numCountedTokens: some.length });
    }
    // Numbers are rounded to f32 on their way.
    expect(found.metrics['pearsonCorrelation']).toBeCloseTo(one.pearson, 6);
    expect(found.metrics['spearmanCorrelation']).toBeCloseTo(one.spearman, 12);
    const far = new LabelPredictions({ run }, numberField, 3);
    const [tokens, labels] = [Float32Array.of(-100, 0, 1), Float32Array.of(-100, 1, 0)];
    await far.add({ inputs: { tokens, labels }, numCountedTokens: 3 });
    expect(far.metrics['pearsonCorrelation']).toBeGreaterThan(0.9);
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
