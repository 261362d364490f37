/**
 * A shuffle of 0 .. size-1 that is computed entry by entry and never stored, so that it costs nothing for any corpus:
 * a six-round Feistel network on the smallest even number of bits that holds `size`; results outside of the range
 * are sent through again until they fall inside (cycle walking), which keeps it a bijection.
 */
export function permutation(size: number, seed: number, stream: number): (index: number) => number {
  let halfBits = 1;
  while (4 ** halfBits < size) halfBits++;
  const base = 2 ** halfBits;
  const keys = Array.from({ length: 6 }, (_, round) =>
    mix(mix(mix(mix(seed >>> 0) ^ Math.floor(seed / 2 ** 32)) ^ stream) ^ round),
  );
  return (index) => {
    let result = index;
    do {
      let left = Math.floor(result / base);
      let right = result % base;
      for (const key of keys) [left, right] = [right, left ^ (mix(right ^ key) >>> (32 - halfBits))];
      result = left * base + right;
    } while (result >= size);
    return result;
  };
}

/** The finaliser of MurmurHash3 on 32 bits. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
