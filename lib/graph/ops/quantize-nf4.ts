// NF4 (Dettmers et al. 2023, QLoRA, arXiv 2305.14314): a weight is one of sixteen levels, quantiles of the normal
// distribution, times the largest magnitude of its block of 64. Those magnitudes are quantised in turn (double
// quantisation), 256 at a time, to eight bits between the smallest and the largest of them. The paper takes eight-bit
// floats around one mean of the tensor instead: a range of their own needs no pass over the tensor, and its steps are
// finer.
import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import { numElements, type DType, type Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireMatrix, requireShape } from './checks.js';

/** Blocks of 64 weights, one magnitude each, that share a range. */
const blocksPerSpan = 256;
const weightsPerSpan = 64 * blocksPerSpan;

/** A matrix (rows, columns) in four bits per element; rows of an odd number are padded with a zero. */
export interface Nf4Matrix {
  /** Of the matrix. */
  readonly columns: number;
  /** U8 (rows, half the columns): two codes a byte, the first in the lower half. */
  readonly codes: Value;
  /** U8 (spans, 256): the largest magnitude of every 64 elements, padding included, in steps of its range; zero where there are no more. */
  readonly magnitudes: Value;
  /** F32 (spans, 2): smallest magnitude, and step. */
  readonly ranges: Value;
}

/** Four bits per element: 4.13 with all scales, of a large matrix. */
export function quantizeNf4(x: Value): Nf4Matrix {
  const shapes = nf4Shapes(requireMatrix('quantizeNf4', x));
  const kind = 'compressedActivation';
  const [codes, magnitudes, ranges] = callOp(
    quantizeNf4Op,
    [x],
    {},
    {
      codes: { shape: shapes.codes, kind },
      magnitudes: { shape: shapes.magnitudes, kind },
      ranges: { shape: shapes.ranges, kind },
    },
  );
  return { columns: x.shape[1]!, codes: codes!, magnitudes: magnitudes!, ranges: ranges! };
}

/** The same into persistent values. */
export function quantizeNf4Persistent(x: Value, matrix: Nf4Matrix): void {
  requireShape('quantizeNf4', x, requireNf4('quantizeNf4', matrix));
  const { codes, magnitudes, ranges } = matrix;
  x.graph.overwrite(quantizeNf4Op, [codes, magnitudes, ranges], {}, [x]);
}

/** Shapes of the parts of a matrix in NF4. */
export function nf4Shapes([rows, columns]: readonly [number, number]): Readonly<
  Record<'codes' | 'magnitudes' | 'ranges', readonly number[]>
> {
  const rowBytes = Math.ceil(columns / 2);
  const spans = Math.ceil((2 * rows * rowBytes) / weightsPerSpan);
  return { codes: [rows, rowBytes], magnitudes: [spans, blocksPerSpan], ranges: [spans, 2] };
}

/** The numbers that the codes stand for, (rows, columns), rounded once to `dtype`. */
export function dequantizeNf4(matrix: Nf4Matrix, dtype: DType): Value {
  const shape = requireNf4('dequantizeNf4', matrix);
  const { codes, magnitudes, ranges } = matrix;
  const [y] = callOp(dequantizeNf4Op, [codes, magnitudes, ranges], {}, { y: { shape, dtype } });
  return y!;
}

/** Rows and columns of the matrix that the codes stand for. */
export function requireNf4(
  op: string,
  { columns, codes, magnitudes }: Nf4Matrix,
): readonly [rows: number, columns: number] {
  const shape = [codes.shape[0]!, columns] as const;
  const shapes = nf4Shapes(shape);
  requireShape(op, codes, shapes.codes);
  requireShape(op, magnitudes, shapes.magnitudes);
  return shape;
}

export const quantizeNf4Op: OpDefinition = defineOp({
  name: 'quantizeNf4',
  family: 'quantization',
  computes:
    'per block of 64 consecutive elements, rows of an odd number padded with a zero: `magnitude = max|x|`, `code` of ' +
    'the nearest of the 16 levels of NF4 to `x / magnitude`, two a byte; magnitudes, 256 at a time, as `round((magnitude - smallest) / step)`, half to ' +
    'even, `step = (largest - smallest) / 255`; `ranges` has `smallest` and `step`, `s = ceil(elements / 16384)`',
  operands: 'x:T[r,*] -> codes:u8[r,*] magnitudes:u8[s,256] ranges:f32[s,2]',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 32 * firstInputElements(node),
});

export const dequantizeNf4Op: OpDefinition = defineOp({
  name: 'dequantizeNf4',
  family: 'quantization',
  computes: '`y = level * (smallest + magnitude * step)`, in fp32 and then rounded',
  operands: 'codes:u8[r,*] magnitudes:u8[s,256] ranges:f32[s,2] -> y:T[r,*]',
  recompute: 'cheap',
  pure: true,
  flops: (node) => numElements(node.outputs[0]!.shape),
});
