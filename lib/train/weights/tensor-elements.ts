import { compactError } from '../../errors.js';
import { convertNumbers, floatBytes, type FloatDType } from '../../formats/index.js';
import { indexOfNotFinite } from './finite.js';

/*
 * A tensor as a source of its elements, in ranges: what stands in a file or in an engine, seen in another order or in
 * other numbers. A tensor that is larger than a piece is never whole in the memory of the host.
 */

/** Elements in row-major order. */
export interface Elements {
  readonly elementBytes: number;
  /** `count` elements from `first` on, aligned to 8 bytes in memory. */
  read(first: number, count: number): Promise<Uint8Array>;
}

/** Elements that are read, converted and written at a time; whole groups of every format of codes. */
const pieceElements = 4 * 2 ** 20;

/** Ranges that cover a tensor, one after the other. */
export function* pieces(
  numElements: number,
  most = pieceElements,
): Generator<{ readonly first: number; readonly count: number }> {
  for (let first = 0; first < numElements; first += most)
    yield { first, count: Math.min(most, numElements - first) };
}

/** Bytes of a matrix that are read at a time where some of its columns are wanted. */
const passBytes = 4 * 2 ** 20;

/**
 * The transpose (columns, rows) of a matrix (rows, columns). A range is gathered in one pass over the matrix, so of a
 * matrix of many pieces each byte is read as often: reading again what the system holds in memory costs less than
 * gathering it, and needs none of ours.
 */
export function transposed(
  matrix: Elements,
  [rows, columns]: readonly [number, number],
  bytesOfPass = passBytes,
): Elements {
  const { elementBytes } = matrix;
  const rowsPerPass = Math.max(1, Math.floor(bytesOfPass / (columns * elementBytes)));
  return {
    elementBytes,
    async read(first, count) {
      // Whole columns of the matrix, which are rows of the transpose.
      const begin = Math.floor(first / rows);
      const end = Math.ceil((first + count) / rows);
      const strip = newWords(elementBytes, (end - begin) * rows);
      for (const { first: row, count: numRows } of pieces(rows, rowsPerPass)) {
        const block = wordsOf(elementBytes, await matrix.read(row * columns, numRows * columns));
        gather(block, { numRows, columns, begin, end }, strip, { row, rows });
      }
      const skipped = first - begin * rows;
      const whole = skipped === 0 && count === strip.length;
      return bytesOfWords(whole ? strip : strip.slice(skipped, skipped + count));
    },
  };
}

/**
 * Columns `begin` to `end` of a block of rows, as columns `row` and on of their strip; in squares that fit the cache.
 * Elements travel as whole numbers: as floating point a NaN would not keep its bits.
 */
function gather(
  block: Words,
  { numRows, columns, begin, end }: Readonly<Record<'numRows' | 'columns' | 'begin' | 'end', number>>,
  strip: Words,
  { row, rows }: Readonly<Record<'row' | 'rows', number>>,
): void {
  const side = 64;
  for (let rowSquare = 0; rowSquare < numRows; rowSquare += side) {
    const rowEnd = Math.min(numRows, rowSquare + side);
    for (let columnSquare = begin; columnSquare < end; columnSquare += side) {
      const columnEnd = Math.min(end, columnSquare + side);
      for (let r = rowSquare; r < rowEnd; r++)
        for (let column = columnSquare; column < columnEnd; column++)
          strip[(column - begin) * rows + row + r] = block[r * columns + column]!;
    }
  }
}

/** A matrix of f32 whose rows end in zeros, to a length that two divides, as rows of NF4 do. */
export function evenRows(matrix: Elements, columns: number): Elements {
  if (columns % 2 === 0) return matrix;
  const stride = columns + 1;
  return {
    elementBytes: 4,
    async read(first, count) {
      const begin = Math.floor(first / stride);
      const end = Math.ceil((first + count) / stride);
      const rows = wordsOf(4, await matrix.read(begin * columns, (end - begin) * columns));
      const padded = newWords(4, (end - begin) * stride);
      for (let row = 0; row < end - begin; row++)
        padded.set(rows.subarray(row * columns, (row + 1) * columns), row * stride);
      return bytesOfWords(padded.slice(first - begin * stride, first - begin * stride + count));
    },
  };
}

/** The other way round: the matrix of f32 whose rows were so padded. */
export function withoutEvenRows(padded: Elements, columns: number): Elements {
  if (columns % 2 === 0) return padded;
  const stride = columns + 1;
  return {
    elementBytes: 4,
    async read(first, count) {
      const begin = Math.floor(first / columns);
      const end = Math.ceil((first + count) / columns);
      const rows = wordsOf(4, await padded.read(begin * stride, (end - begin) * stride));
      const matrix = newWords(4, (end - begin) * columns);
      for (let row = 0; row < end - begin; row++)
        matrix.set(rows.subarray(row * stride, row * stride + columns), row * columns);
      return bytesOfWords(matrix.slice(first - begin * columns, first - begin * columns + count));
    },
  };
}

/**
 * The same numbers in another type.
 * @param refused makes the error for a number that is not finite there
 * @throws what `refused` makes
 */
export function checkedNumbers(
  given: Uint8Array,
  from: FloatDType,
  to: 'f32' | 'bf16' | 'f16',
  refused: (value: number) => Error,
): Uint8Array {
  const bytes = convertNumbers(given, from, to);
  const index = indexOfNotFinite(bytes, to);
  if (index < 0) return bytes;
  const elementBytes = floatBytes[from];
  const number = given.slice(index * elementBytes, (index + 1) * elementBytes);
  throw refused(new Float64Array(convertNumbers(number, from, 'f64').buffer)[0]!);
}

/** The same of elements, range by range. */
export const convertedNumbers = (
  elements: Elements,
  from: FloatDType,
  to: 'f32' | 'bf16' | 'f16',
  refused: (value: number) => Error,
): Elements => ({
  elementBytes: floatBytes[to],
  read: async (first, count) => checkedNumbers(await elements.read(first, count), from, to, refused),
});

/** The error of numbers in a file that are not finite, or not as the type that they are read in. */
export const notFinite = (path: string, name: string, to: string) => (value: number) =>
  compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path}: ${name} holds ${value}`, {
    op: name,
    expected: Number.isFinite(value) ? `numbers that are finite in ${to}` : 'finite numbers',
    received: String(value),
    remedy: Number.isFinite(value)
      ? 'Use dtype f32'
      : 'Use an earlier checkpoint, or download the file again',
  });

/** Two NaN of 64 bits may become one another on the way; they are refused in any case. */
const wordTypes = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;
type Words = Uint8Array | Uint16Array | Uint32Array | Float64Array;
type WordBytes = keyof typeof wordTypes;

const newWords = (elementBytes: number, length: number): Words =>
  new wordTypes[elementBytes as WordBytes](length);
const wordsOf = (elementBytes: number, { buffer, byteOffset, byteLength }: Uint8Array): Words =>
  new wordTypes[elementBytes as WordBytes](buffer as ArrayBuffer, byteOffset, byteLength / elementBytes);
const bytesOfWords = ({ buffer, byteOffset, byteLength }: Words): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
