import type { Elements } from './tensor-elements.js';

/**
 * Rows of a matrix, or elements of a vector, in another order, the same within every block of them.
 * @param columns of the matrix; 1 of a vector
 * @param order of each row of a block: which row of the block it is in what is given
 */
export function reorderedRows(given: Elements, columns: number, order: readonly number[]): Elements {
  const { elementBytes } = given;
  const [rowBytes, blockElements] = [columns * elementBytes, order.length * columns];
  return {
    elementBytes,
    async read(first, count) {
      const begin = Math.floor(first / blockElements) * blockElements;
      const end = Math.ceil((first + count) / blockElements) * blockElements;
      const before = await given.read(begin, end - begin);
      const after = new Uint8Array(before.byteLength);
      for (let row = 0; row < before.byteLength / rowBytes; row++) {
        const place = row % order.length;
        const from = (row - place + order[place]!) * rowBytes;
        after.set(before.subarray(from, from + rowBytes), row * rowBytes);
      }
      return after.slice((first - begin) * elementBytes, (first - begin + count) * elementBytes);
    },
  };
}

/*
 * A head turns pairs of its features. Hugging Face's files hold the first of all pairs and then the second of all;
 * llama.cpp's and llama2.c's hold pair beside pair.
 */
export const pairsBesideEachOther = (headSize: number): readonly number[] =>
  Array.from({ length: headSize }, (_, row) => (row % 2) * (headSize / 2) + Math.floor(row / 2));

/** The other way round. */
export const pairsApart = (headSize: number): readonly number[] =>
  Array.from({ length: headSize }, (_, row) => 2 * (row % (headSize / 2)) + Math.floor((2 * row) / headSize));
