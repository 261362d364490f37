const encoder = new TextEncoder();

/**
 * The number of a parameter in seeded streams (initial weights, projection, stochastic rounding), from 0 to below 2^31:
 * FNV-1a of 32 bits over the name in UTF-8, its top bit folded into the lowest (Fowler, Noll and Vo: xor folding). A
 * parameter keeps its number whatever else a model has. A graph refuses two names with one number.
 * @example parameterId('a') // 0x640c292d: FNV-1a gives 0xe40c292c
 */
export function parameterId(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 31) ^ (hash & 0x7fffffff);
}
