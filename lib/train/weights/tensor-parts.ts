import { numElements, type StoredParameter } from '../../graph/index.js';
import type { Elements } from './tensor-elements.js';

/*
 * Tensors of a file that hold several parameters side by side, by their output features: rows of a (out_features,
 * in_features) matrix and elements of a vector, which stand one after the other, or columns of a (in_features,
 * out_features) matrix.
 */

/** How a parameter stands in a file. */
export interface StoredShape {
  /** In the graph; the last axis is that of output features. */
  readonly shape: readonly number[];
  readonly isTransposed: boolean;
  readonly part?: StoredParameter['part'];
}

/** Whether parts of a tensor stand one after the other in its file: rows of a transposed matrix, or elements of a vector. */
export const isContiguous = ({ shape, isTransposed }: StoredShape): boolean =>
  isTransposed || shape.length === 1;

/** What of a tensor of a file is a parameter's. */
export function partOf(inFile: Elements, stored: StoredShape): Elements {
  const { shape, part } = stored;
  if (part === undefined) return inFile;
  const width = shape.at(-1)!;
  return isContiguous(stored)
    ? elementsFrom(inFile, (part.first * numElements(shape)) / width)
    : columnsOf(inFile, { ...part, width });
}

/** Shape of the whole tensor in the file, all of its parts together. */
export function shapeInFile({ shape, isTransposed, part }: StoredShape): readonly number[] {
  const whole = [...shape.slice(0, -1), part?.of ?? shape.at(-1)!];
  return isTransposed ? whole.toReversed() : whole;
}

/** The other way round: all parts of a tensor, each in the order of its file, as the tensor. */
export function joinedParts(parts: readonly (StoredShape & { readonly elements: Elements })[]): Elements {
  const [first] = parts as [(typeof parts)[number]];
  if (first.part === undefined) return first.elements;
  return isContiguous(first)
    ? concatenated(parts.map(({ elements, shape }) => ({ elements, numElements: numElements(shape) })))
    : besideEachOther(parts.map(({ elements, shape }) => ({ elements, width: shape.at(-1)! })));
}

/** The elements from `offset` on. */
export const elementsFrom = (elements: Elements, offset: number): Elements => ({
  elementBytes: elements.elementBytes,
  read: (first, count) => elements.read(first + offset, count),
});

/** Some columns of a matrix. */
export interface Columns {
  readonly first: number;
  readonly width: number;
  /** Columns of the whole matrix. */
  readonly of: number;
}

/** Columns of a matrix as a matrix; a range is read in one piece, what stands between its rows included. */
export function columnsOf(matrix: Elements, { first, width, of }: Columns): Elements {
  const { elementBytes } = matrix;
  return {
    elementBytes,
    async read(begin, count) {
      const [row, end] = rowsOf(begin, count, width);
      const numRows = end - row;
      const block = await matrix.read(row * of + first, (numRows - 1) * of + width);
      const strip = new Uint8Array(numRows * width * elementBytes);
      const [rowBytes, stripBytes] = [of * elementBytes, width * elementBytes];
      for (let r = 0; r < numRows; r++)
        strip.set(block.subarray(r * rowBytes, r * rowBytes + stripBytes), r * stripBytes);
      const skipped = begin - row * width;
      return strip.slice(skipped * elementBytes, (skipped + count) * elementBytes);
    },
  };
}

/** Tensors one after the other. */
export function concatenated(
  parts: readonly { readonly elements: Elements; readonly numElements: number }[],
): Elements {
  const { elementBytes } = parts[0]!.elements;
  return {
    elementBytes,
    async read(first, count) {
      const bytes = new Uint8Array(count * elementBytes);
      let start = 0;
      for (const { elements, numElements } of parts) {
        const from = Math.max(first, start);
        const to = Math.min(first + count, start + numElements);
        if (from < to) bytes.set(await elements.read(from - start, to - from), (from - first) * elementBytes);
        start += numElements;
      }
      return bytes;
    },
  };
}

/** Matrices of as many rows, the columns of one beside those of the one before. */
export function besideEachOther(
  parts: readonly { readonly elements: Elements; readonly width: number }[],
): Elements {
  const { elementBytes } = parts[0]!.elements;
  const of = parts.reduce((sum, { width }) => sum + width, 0);
  return {
    elementBytes,
    async read(begin, count) {
      const [row, end] = rowsOf(begin, count, of);
      const numRows = end - row;
      const block = new Uint8Array(numRows * of * elementBytes);
      let first = 0;
      for (const { elements, width } of parts) {
        const strip = await elements.read(row * width, numRows * width);
        const rowBytes = width * elementBytes;
        for (let r = 0; r < numRows; r++)
          block.set(strip.subarray(r * rowBytes, (r + 1) * rowBytes), (r * of + first) * elementBytes);
        first += width;
      }
      return block.slice((begin - row * of) * elementBytes, (begin + count - row * of) * elementBytes);
    },
  };
}

/** The rows that a range of elements lies in, the second number excluded. */
const rowsOf = (begin: number, count: number, width: number): readonly [number, number] => [
  Math.floor(begin / width),
  Math.ceil((begin + count) / width),
];
