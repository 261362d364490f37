// Products with a quantised matrix, which is decoded while the product reads it: to the dtype of the other operand, so
// the results have the bits of a product with the dequantised matrix, which never exists as a whole.
import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { Attributes, Node } from '../node.js';
import type { GradientContext, OpDefinition } from '../op.js';
import type { DType, Value, ValueKind } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireMatrix } from './checks.js';
import { requireGroups, type Quantized } from './quantize.js';
import { type Nf4Matrix, requireNf4 } from './quantize-nf4.js';

/** Orientation of the quantised matrix, and what the result is. */
export interface MatmulQuantizedOptions {
  /** The matrix is (n, k) instead of (k, n). Default false. */
  readonly transposeB?: boolean;
  /** Of the result; default that of `a`. */
  readonly dtype?: DType;
  /** Category of the result's bytes. Default 'activation'. */
  readonly kind?: ValueKind;
  /** Of the result. Default 'product'. */
  readonly name?: string;
}

/** c = a w, or a w^T, of a matrix w in int8 (`quantize`); its group size is a power of two. */
export function matmulInt8(
  a: Value,
  { codes, scales }: Quantized,
  groupSize: number,
  options: MatmulQuantizedOptions = {},
): Value {
  requireGroups('matmulInt8', { codes, scales }, groupSize);
  const shape = codes.shape as [number, number];
  return product(matmulInt8Op, a, [codes, scales], shape, { groupSize }, options);
}

/** c = a w, or a w^T, of a matrix w in NF4 (`quantizeNf4`). */
export function matmulNf4(a: Value, matrix: Nf4Matrix, options: MatmulQuantizedOptions = {}): Value {
  const shape = requireNf4('matmulNf4', matrix);
  const { codes, magnitudes, ranges } = matrix;
  return product(matmulNf4Op, a, [codes, magnitudes, ranges], shape, {}, options);
}

function product(
  definition: OpDefinition,
  a: Value,
  matrix: readonly Value[],
  [rows, columns]: readonly [number, number],
  attributes: Attributes,
  { transposeB = false, dtype = a.dtype, kind, name = 'product' }: MatmulQuantizedOptions,
): Value {
  const [m, k] = requireMatrix(definition.name, a);
  const inner = transposeB ? columns : rows;
  if (k !== inner)
    throw compactError('ERR_COMPACT_SHAPE', `${definition.name}: inner sizes differ`, {
      op: definition.name,
      expected: `${k} ${transposeB ? 'columns' : 'rows'} in the quantised matrix`,
      received: `${inner}`,
    });
  const shape = [m, transposeB ? rows : columns];
  const [c] = callOp(
    definition,
    [a, ...matrix],
    { ...attributes, transposeB: Number(transposeB) },
    { c: { name, shape, dtype, kind } },
  );
  return c!;
}

const flops = (node: Node): number => 2 * firstInputElements(node) * node.outputs[0]!.shape[1]!;

/** The gradient of a, and that of the codes where they are trained. */
function gradients(
  context: GradientContext,
  inputGradient: (dy: Value) => Value,
): readonly (Value | undefined)[] {
  const [input, weight] = context.node.inputs as [Value, Value];
  const outputGradient = context.outputGradients[0]!;
  if (context.node.attributes.transposeB)
    throw compactError(
      'ERR_COMPACT_ARGUMENT',
      `${context.node.op}: gradients are defined for plain products only`,
    );
  return [
    context.needs(0) ? inputGradient(outputGradient) : undefined,
    context.needs(1) ? context.weightGradient({ input, outputGradient, weight }) : undefined,
  ];
}

const backwards = { transposeB: true, name: 'inputGradient' };

export const matmulInt8Op: OpDefinition = defineOp({
  name: 'matmulInt8',
  family: 'gemm',
  computes:
    '`c = a w`, or `a w^T` with `transposeB`, of what `dequantize` makes of the codes in the dtype of `a`; ' +
    '`groupSize` a power of two',
  operands: 'a:T[m,*] codes:i8[*,*] scales:f32[g] -> c:C[m,*]',
  attributes: 'groupSize transposeB=0',
  recompute: 'costly',
  pure: true,
  flops,
  gradient(context) {
    const [, codes, scales] = context.node.inputs as [Value, Value, Value];
    const groupSize = context.node.attributes.groupSize as number;
    return gradients(context, (dy) => matmulInt8(dy, { codes, scales }, groupSize, backwards));
  },
});

export const matmulNf4Op: OpDefinition = defineOp({
  name: 'matmulNf4',
  family: 'gemm',
  computes: 'the same of what `dequantizeNf4` makes of the codes',
  operands: 'a:T[m,*] codes:u8[*,*] magnitudes:u8[s,256] ranges:f32[s,2] -> c:C[m,*]',
  attributes: 'transposeB=0',
  recompute: 'costly',
  pure: true,
  flops,
  gradient(context) {
    const [, codes, magnitudes, ranges] = context.node.inputs as [Value, Value, Value, Value];
    return gradients(context, (dy) => {
      const columns = dy.shape[1]!;
      return matmulNf4(dy, { columns, codes, magnitudes, ranges }, backwards);
    });
  },
});
