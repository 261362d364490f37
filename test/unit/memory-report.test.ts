/** The ledger: its sums against the plan, counted in another way. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { compile, groupSpans } from '../../lib/compile/index.js';
import { largestBatch, memoryReport, remedies } from '../../lib/memory/index.js';
import { compact, dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { smallRuns } from '../helpers/small-llama.js';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const runs = { numRuns: 60, seed: 11 };

test('bytes by kind sum to the peak exactly, bytes by layer to what is used', () => {
  fc.assert(
    fc.property(smallRuns, (options) => {
      const plan = compile(options);
      const { byKind, byLayer, unusedBytes, atPeak, peakBytes } = memoryReport(plan);
      expect(peakBytes).toBe(plan.peakBytes);
      expect(sum(Object.values(byKind))).toBe(peakBytes);
      expect(unusedBytes).toBeGreaterThanOrEqual(0);
      expect(sum(Object.values(byLayer))).toBe(peakBytes - unusedBytes);
      expect(sum(atPeak.map(({ bytes }) => bytes))).toBe(peakBytes - unusedBytes);
      for (const [kind, bytes] of Object.entries(byKind))
        if (kind !== 'unused')
          expect(sum(atPeak.filter((held) => held.kind === kind).map((held) => held.bytes))).toBe(bytes);
    }),
    runs,
  );
});

test('the peak is the fullest moment of the largest entry', () => {
  fc.assert(
    fc.property(smallRuns, (options) => {
      const plan = compile(options);
      const { peak, timeline } = memoryReport(plan);
      const entry = plan.entries[peak!.entry]!;
      expect(entry.arenaBytes).toBe(plan.arenaBytes);
      const spans = groupSpans(entry.instructions);
      const live = spans.map((span, index) => {
        const held = entry.lifetimes.filter(({ first, last }) => first <= index && index <= last);
        const prepared = entry.instructions[span.last + 1];
        const members = entry.instructions.slice(span.first, span.last + 1);
        if (prepared?.isPreparedAhead === true) members.push(prepared);
        return (
          sum(members.map(({ workspace }) => workspace.bytes)) +
          sum(held.map(({ value }) => plan.values[value]!.bytes))
        );
      });
      expect(timeline[peak!.entry]!.totalBytes).toEqual(live);
      expect(live[peak!.instruction]).toBe(Math.max(...live));
      expect(entry.instructions[peak!.instruction]).toMatchObject({ op: peak!.op, layer: peak!.layer });
    }),
    runs,
  );
});

test('a timeline by kind sums to the total at every instruction', () => {
  const plan = compile({ ...tiny, method: compact({ rankRatio: 0.25 }) });
  for (const { totalBytes, byKind } of Object.values(memoryReport(plan).timeline))
    for (const [index, bytes] of totalBytes.entries())
      expect(sum(Object.values(byKind).map((kind) => kind[index]!))).toBe(bytes);
});

const tiny = {
  model: llama('llama-demo'),
  method: dense(),
  target: planTarget,
  batchSize: 16,
  sequenceLength: 128,
  dtype: 'f32',
  entries: ['train'],
} as const;

test('kinds are what they say', () => {
  const { byKind } = memoryReport(compile({ ...tiny, method: compact({ rankRatio: 0.25 }) }));
  expect(byKind.parameter).toBe(4 * tiny.model.numParameters);
  expect(byKind.compressedActivation).toBeGreaterThan(0);
  expect(byKind.gradient).toBeLessThan(byKind.parameter / 4);
  const { byKind: kindsOfDense } = memoryReport(compile(tiny));
  expect(kindsOfDense.optimizerState).toBe(2 * kindsOfDense.parameter);
  expect(kindsOfDense.compressedActivation).toBe(0);
});

const peakAt = (batchSize: number): number => compile({ ...tiny, batchSize }).peakBytes;

describe('the largest batch', () => {
  test.each([1, 2, 7, 33])('that fits into exactly the bytes of %d', (batchSize) => {
    const bytes = peakAt(batchSize);
    expect(largestBatch(tiny, bytes)).toEqual({ batchSize, peakBytes: bytes });
    expect(largestBatch(tiny, bytes - 1)?.batchSize).toBe(batchSize === 1 ? undefined : batchSize - 1);
  });

  test('is the last one that fits', () => {
    const memoryBytes = 300 * 2 ** 20;
    const found = largestBatch(tiny, memoryBytes)!;
    expect(found.peakBytes).toBe(peakAt(found.batchSize));
    expect(found.peakBytes).toBeLessThanOrEqual(memoryBytes);
    expect(peakAt(found.batchSize + 1)).toBeGreaterThan(memoryBytes);
  });
});

describe('remedies', () => {
  const { peakBytes } = compile(tiny);

  test('are three changes with bytes that a plan confirms, those that fit first', () => {
    const found = remedies(tiny, 0.6 * peakBytes);
    expect(found).toHaveLength(3);
    expect(found.map(({ fits }) => fits)).toEqual([true, true, true]);
    for (const remedy of found) expect(remedy.peakBytes).toBeLessThanOrEqual(0.6 * peakBytes);
    const smaller = found.find(({ change }) => change.batchSize !== undefined)!;
    const planned = compile({
      ...tiny,
      batchSize: Number(smaller.change.batchSize),
      accumulateGradients: true,
    });
    expect(smaller.peakBytes).toBe(planned.peakBytes);
    expect(
      Number(smaller.change.batchSize) * Number(smaller.change.gradientAccumulationSteps),
    ).toBeGreaterThanOrEqual(tiny.batchSize);
  });

  test('say so when nothing fits, smallest first', () => {
    const found = remedies(tiny, 2 ** 20);
    expect(found).toHaveLength(3);
    expect(found.map(({ fits }) => fits)).toEqual([false, false, false]);
    const bytes = found.map((remedy) => remedy.peakBytes);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
  });

  test('never need more than the run that they are for', () => {
    const smallest = {
      ...tiny,
      batchSize: 1,
      recompute: 'layer',
      method: compact({ rank: 8, store: 'lazy' }),
    } as const;
    const peak = compile(smallest).peakBytes;
    for (const remedy of remedies(smallest, peak - 1)) expect(remedy.peakBytes).toBeLessThan(peak);
  });
});
