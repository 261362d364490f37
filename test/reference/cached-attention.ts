import { type Numbers, type Round, type Tensor, tensor } from './tensor.js';

interface Operands {
  readonly q: Tensor; // (n, w)
  readonly k: Tensor; // (n, u)
  readonly v: Tensor; // (n, u)
  readonly keyCache: Tensor; // (c, u)
  readonly valueCache: Tensor; // (c, u)
  readonly positions: Tensor; // (n)
}

/** A cache with the rows of new tokens at their places. */
function withRows(cache: Tensor, rows: Tensor, places: readonly number[]): Tensor {
  const width = rows.shape[1]!;
  const result = tensor(cache.shape, cache.data.slice());
  for (const [row, place] of places.entries())
    result.data.set(rows.data.subarray(row * width, (row + 1) * width), place * width);
  return result;
}

/** o = softmax(score) v of new tokens over the positions of their sequence up to their own. */
export function cachedAttention(
  { q, k, v, keyCache, valueCache, positions }: Operands,
  { newTokens, headSize, scale, window, softCap }: Numbers,
  round: Round,
) {
  const [n, w] = q.shape as [number, number];
  const u = k.shape[1]!;
  const capacity = (keyCache.shape[0]! * newTokens!) / n;
  const firstOf = (row: number) => Math.floor(row / newTokens!) * capacity;
  const places = Array.from(positions.data, (position, row) => firstOf(row) + position);
  const keys = withRows(keyCache, k, places);
  const values = withRows(valueCache, v, places);
  const sum = (count: number, term: (index: number) => number): number => {
    let total = 0;
    for (let index = 0; index < count; index++) total = round(total + round(term(index)));
    return total;
  };
  const o = tensor([n, w]);
  const group = w / u;
  for (let row = 0; row < n; row++) {
    const own = places[row]!;
    const first = Math.max(firstOf(row), window! > 0 ? own - window! + 1 : 0);
    const seen = Array.from({ length: own - first + 1 }, (_, index) => first + index);
    for (let head = 0; head < w / headSize!; head++) {
      const queryAt = row * w + head * headSize!;
      const column = Math.floor(head / group) * headSize!;
      const scores = seen.map((place) => {
        const product = sum(headSize!, (i) => q.data[queryAt + i]! * keys.data[place * u + column + i]!);
        const score = round(product * scale!);
        return softCap! > 0 ? round(softCap! * round(Math.tanh(round(score / softCap!)))) : score;
      });
      const largest = Math.max(...scores);
      const powers = scores.map((score) => round(Math.exp(round(score - largest))));
      const total = sum(powers.length, (index) => powers[index]!);
      for (let i = 0; i < headSize!; i++) {
        const weighted = sum(
          seen.length,
          (index) => powers[index]! * values.data[seen[index]! * u + column + i]!,
        );
        o.data[queryAt + i] = round(weighted / total);
      }
    }
  }
  return { o, keyCache: keys, valueCache: values };
}
