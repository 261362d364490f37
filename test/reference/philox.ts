/** Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), in plain integers. */

export type Words = readonly [number, number, number, number];

/** The 64-bit product of two 32-bit words; every step is exact in a double. */
function multiply(a: number, b: number): readonly [high: number, low: number] {
  const lowPart = Math.floor((a * (b & 0xffff)) / 65536);
  return [Math.floor((a * (b >>> 16) + lowPart) / 65536), Math.imul(a, b) >>> 0];
}

/** Four 32-bit words for a counter of four words and a key of two. */
export function philox(counter: Words, key: readonly [number, number], rounds = 10): Words {
  let [c0, c1, c2, c3] = counter.map((word) => word >>> 0) as [number, number, number, number];
  let [k0, k1] = [key[0] >>> 0, key[1] >>> 0];
  for (let i = 0; i < rounds; i++) {
    const [high0, low0] = multiply(0xd2511f53, c0);
    const [high1, low1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The 16-bit half `index` (0 to 7) of four words: low half first. */
export const half = (words: Words, index: number): number =>
  index % 2 === 0 ? words[index >> 1]! & 0xffff : words[index >> 1]! >>> 16;
