import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { float32OfBf16 } from '../reference/bf16.js';
import { philox } from '../reference/philox.js';
import {
  normalOfBits,
  projection,
  projectionPatterns,
  projectionSha256,
  projectionTable,
} from '../reference/projection.js';

const hex = (words: readonly number[], digits: number) =>
  words.map((word) => word.toString(16).padStart(digits, '0')).join(' ');

describe('philox', () => {
  const ones = 0xffffffff;
  // Known answers of the Random123 distribution (kat_vectors).
  test.each([
    [[0, 0, 0, 0], [0, 0], 10, '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[ones, ones, ones, ones], [ones, ones], 10, '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      10,
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
    [[0, 0, 0, 0], [0, 0], 7, '5f6fb709 0d893f64 4f121f81 4f730a48'],
  ] as const)('known answer for %j, key %j, %d rounds', (counter, key, rounds, answer) => {
    expect(hex(philox(counter, key, rounds), 8)).toBe(answer);
  });
});

describe('projection', () => {
  const key = { seedLow: 1, seedHigh: 0, tensorId: 0, epoch: 0 };

  test('all 65,536 outputs have the published hash', () => {
    const bytes = Buffer.from(projectionTable().buffer);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(projectionSha256);
  });

  test('vectors and hash of the 4096 x 1024 matrix', () => {
    const patterns = projectionPatterns(4096, 1024, key);
    const at = (row: number, column: number) =>
      hex([...patterns.subarray(row * 1024 + column, row * 1024 + column + 8)], 4);
    expect(at(0, 0)).toBe('3ffb be8f 3fca be89 3f8d bfaf bf7a bf4d');
    expect(at(0, 8)).toBe('3fb5 bf72 bf06 bea4 3d66 3d7b 3ea0 bf81');
    expect(at(1, 0)).toBe('bd8f c00f bfae 3f8e bfea 3f8c 3f0b 3fdb');
    expect(at(4095, 1016)).toBe('bfa6 bf4a 3fd7 3f79 3fa0 bed6 bd0e 3ee6');
    const bytes = Buffer.from(patterns.buffer);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(
      '9d9c69dfe4d8f817c3d8768916588379fb10f6b851f3fec43d829156a3926774',
    );
  });

  test('the law is standard normal: odd, monotone, moments', () => {
    const values = Array.from(projectionTable(), float32OfBf16);
    const moment = (power: number) => values.reduce((sum, z) => sum + z ** power, 0) / 65536;
    expect(moment(1)).toBe(0);
    expect(moment(2)).toBeCloseTo(0.99998524, 7);
    expect(moment(4) / moment(2) ** 2).toBeCloseTo(2.99924, 4);
    const tail = Array.from({ length: 32768 }, (_, bits) => normalOfBits(bits));
    expect(tail.every((z, bits) => normalOfBits(bits + 32768) === -z)).toBe(true);
    expect(tail.every((z, bits) => bits === 0 || z < tail[bits - 1]!)).toBe(true);
  });

  test('a smaller rank is a prefix of a larger one', () => {
    const [narrow, wide] = [projectionPatterns(5, 11, key), projectionPatterns(5, 40, key)];
    for (let i = 0; i < 5; i++)
      expect(narrow.subarray(i * 11, (i + 1) * 11)).toEqual(wide.subarray(i * 40, i * 40 + 11));
  });

  test('seed, tensor and epoch each change it', () => {
    const first = projectionPatterns(4, 8, key).join();
    for (const field of ['seedLow', 'seedHigh', 'tensorId', 'epoch'] as const)
      expect(projectionPatterns(4, 8, { ...key, [field]: 7 }).join()).not.toBe(first);
  });

  test.each([0, 1])('P P^T tends to the identity over epochs (distribution %d)', (distribution) => {
    const [rows, rank, epochs] = [12, 6, 2000];
    const sums = new Float64Array(rows * rows);
    for (let epoch = 0; epoch < epochs; epoch++) {
      const p = projection(rows, rank, { ...key, epoch, distribution }).data;
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < rows; j++)
          for (let l = 0; l < rank; l++) sums[i * rows + j]! += p[i * rank + l]! * p[j * rank + l]!;
    }
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < rows; j++) {
        // Standard deviation of one entry of P P^T: sqrt(2 / rank) on the diagonal, sqrt(1 / rank) beside it.
        const deviation = Math.sqrt((i === j ? 2 : 1) / rank / epochs);
        const z = (sums[i * rows + j]! / epochs - Number(i === j)) / deviation;
        expect(Math.abs(z)).toBeLessThan(4.5); // 144 entries: a fair draw passes 999 times of 1,000
      }
    }
  });
});
