/** Weights in int8 groups that train, beside what equations give in double precision. */
import { expect } from '@jest/globals';
import { parameterId } from '../../lib/graph/index.js';
import { computeTwin, mapElements, type Tensor } from '../reference/index.js';
import { half, philox } from '../reference/philox.js';

const groupSize = 256;

/** A weight as a machine holds it. */
export interface Int8Weight {
  readonly codes: Tensor;
  readonly scales: Tensor;
}

export const int8Weight = (x: Tensor): Int8Weight =>
  computeTwin('quantize', { x }, { groupSize }) as unknown as Int8Weight;

/** The numbers that products read in fp32. */
export const numbersOf = ({ codes, scales }: Int8Weight): Tensor =>
  mapElements(codes, (code, i) => Math.fround(code * scales.data[Math.floor(i / groupSize)]!));

/** Name of the weight whose codes a parameter is; undefined for others. */
export const weightOfCodes = (parameter: string): string | undefined =>
  parameter.endsWith('.codes') ? parameter.slice(0, -'.codes'.length) : undefined;

/**
 * Expects of each group the scale that its new weights ask for, and of each code the one that stochastic rounding of them
 * gives with the stated random numbers. A scale may be kept or not where the largest weight is at its limit, and a code
 * may be the next one where the sum that is rounded down is a whole number, both up to the tolerance.
 * @param tolerance how far fp32 may be from the equations, as a share of the largest number of a group, which is code 127
 * @returns how many codes are the next one
 */
export function expectRounded(
  name: string,
  weights: Tensor,
  before: Int8Weight,
  after: Int8Weight,
  { seed, step, tolerance }: { readonly seed: number; readonly step: number; readonly tolerance: number },
): number {
  const tensorId = parameterId(name);
  let numTies = 0;
  for (const [group, scale] of after.scales.data.entries()) {
    const values = weights.data.subarray(group * groupSize, (group + 1) * groupSize);
    const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const old = before.scales.data[group]!;
    const isAt = (limit: number): boolean => Math.abs(largest / (limit * old) - 1) < tolerance;
    const fits = largest >= 64 * old && largest <= 127 * old;
    const right = isAt(64) || isAt(127) ? [old, largest / 127] : [fits ? old : largest / 127];
    expect(Math.min(...right.map((value) => Math.abs(scale / value - 1)))).toBeLessThan(tolerance);
    for (const [column, value] of values.entries()) {
      const counter = [Math.floor(column / 8), group, tensorId | 0x80000000, step] as const;
      const sum = value / scale + half(philox(counter, [seed, 0]), column % 8) / 65536;
      const code = Math.max(-127, Math.min(127, Math.floor(sum)));
      const found = after.codes.data[group * groupSize + column]!;
      if (found === code) continue;
      numTies++;
      expect([name, Math.abs(found - code), Math.abs(sum - Math.round(sum)) < 127 * tolerance]).toEqual([
        name,
        1,
        true,
      ]);
    }
  }
  return numTies;
}
