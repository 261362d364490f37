import { describe, expect, test } from '@jest/globals';
import { decodedState, dynamicMap, encodedState } from '../reference/dynamic-map.js';
import { exact, tensor } from '../reference/index.js';

describe('the map of 8-bit states', () => {
  test('has the published values', () => {
    // The ends of the table that bitsandbytes prints, in fp32.
    const published = [
      -0.992968738079071, -0.9789062738418579, -0.96484375, -0.9507812261581421, -0.936718761920929,
      -0.922656238079071, -0.9085937738418579, -0.89453125, -0.8804687261581421, -0.866406261920929,
      -0.852343738079071, -0.8382812738418579, -0.82421875, -0.8101562261581421, -0.796093761920929,
    ];
    const map = dynamicMap(true);
    expect(map).toHaveLength(256);
    for (const [code, value] of published.entries()) {
      expect(map[code]).toBeCloseTo(value, 6);
      expect(map[254 - code]).toBeCloseTo(-value, 6);
    }
    expect(map[255]).toBe(1);
    expect(map[127]).toBe(0);
    // One value in the lowest decade: the mean of 1e-7 and 1e-6.
    expect(map[128]).toBeCloseTo(5.5e-7, 12);
  });

  test('without a sign it has twice the values of each decade', () => {
    const map = dynamicMap(false);
    expect(map).toHaveLength(256);
    expect(map[0]).toBe(0);
    expect(map[1]).toBeCloseTo(3.25e-7, 12);
    expect(map[2]).toBeCloseTo(7.75e-7, 12);
    expect(map[254]).toBeCloseTo(1 - 0.45 / 128, 12);
    expect(map[255]).toBe(1);
  });

  test('what is encoded comes back within half a step of its place', () => {
    const values = Array.from({ length: 600 }, (_, i) => Math.sin(i) * 10 ** -(i % 5));
    const { codes, scales } = encodedState(tensor([600], values), 'signed');
    expect(scales.data).toHaveLength(3);
    const decoded = decodedState(codes, scales, 'signed', exact);
    const map = dynamicMap(true);
    for (const [i, value] of values.entries()) {
      const [code, scale] = [codes.data[i]!, scales.data[Math.floor(i / 256)]!];
      const neighbours = [map[code - 1] ?? -1, map[code + 1] ?? 1].map((x) => Math.abs(x - map[code]!));
      expect(Math.abs(decoded.data[i]! - value)).toBeLessThanOrEqual(
        (Math.max(...neighbours) / 2 + 0.01) * scale,
      );
    }
  });
});
