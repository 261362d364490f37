import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { Attributes, Node } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value, ValueKind } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireArgument, requireMatrix, requireShape } from './checks.js';
import { matmulInt8, matmulNf4, type MatmulQuantizedOptions } from './matmul-quantized.js';
import { scale } from './scale.js';

/** Orientation of the operands, and what the result is. */
export interface MatmulOptions {
  /** The first operand is stored (k, m). Default false. */
  readonly transposeA?: boolean;
  /** The second operand is stored (n, k). Default false. */
  readonly transposeB?: boolean;
  /** Multiplies the product. Default 1. */
  readonly alpha?: number;
  /** (m, n): what the product is added to, in place; nothing else may read it. The result has its dtype. */
  readonly accumulator?: Value;
  /** Of the result; default the operands'. */
  readonly dtype?: DType;
  /** Category of the result's bytes. Default 'activation'. */
  readonly kind?: ValueKind;
  /** Of the result. Default 'product'. */
  readonly name?: string;
}

/** c = alpha op(a) op(b) (+ accumulator): (m, k) times (k, n), each side optionally stored transposed. */
export function matmul(a: Value, b: Value, options: MatmulOptions = {}): Value {
  const { transposeA = false, transposeB = false, alpha = 1, accumulator } = options;
  const [m, k] = oriented(a, transposeA);
  const [kb, n] = oriented(b, transposeB);
  if (k !== kb)
    throw compactError('ERR_COMPACT_SHAPE', `matmul: inner sizes of ${a.name} and ${b.name} differ`, {
      op: 'matmul',
      expected: `${k} rows in the second operand`,
      received: `${kb}`,
    });
  const attributes: Attributes = { transposeA: Number(transposeA), transposeB: Number(transposeB), alpha };
  const { name = 'product', dtype = a.dtype, kind } = options;
  if (accumulator !== undefined) {
    requireShape('matmul', accumulator, [m, n]);
    const adding = { ...matmulOp, pure: false };
    const added = { ...attributes, accumulate: 1 };
    return callOp(adding, [a, b, accumulator, undefined], added, { c: accumulator })[0]!;
  }
  const [c] = callOp(matmulOp, [a, b, undefined, undefined], attributes, {
    c: { name, shape: [m, n], dtype, kind },
  });
  return c!;
}

/** y = x weight: a linear layer without bias. Weights are (in_features, out_features). */
export const linear = (x: Value, weight: Value, name?: string): Value => matmul(x, weight, { name });

/**
 * A product built again such that it also writes the sum of the squares of its result, as it is stored, to
 * squares[index], f32 (any number), updated in place. Returns the new result.
 */
export function withSquares(product: Node, squares: Value, index: number): Value {
  const [a, b, accumulator] = product.inputs as [Value, Value, Value | undefined];
  const fits = Number.isSafeInteger(index) && index >= 0 && index < squares.shape[0]!;
  requireArgument('matmul', 'squaresIndex', index, fits, `below ${squares.shape[0]!}`);
  const attributes = { ...product.attributes, squaresIndex: index };
  const [c] = callOp({ ...matmulOp, pure: false }, [a, b, accumulator, squares], attributes, {
    c: product.outputs[0]!,
  });
  return c!;
}

function oriented(value: Value, transpose: boolean): readonly [number, number] {
  const [rows, columns] = requireMatrix('matmul', value);
  return transpose ? [columns, rows] : [rows, columns];
}

export const matmulOp: OpDefinition = defineOp({
  name: 'matmul',
  family: 'gemm',
  computes:
    '`c = alpha * op(a) op(b)`, `op` transposes when the attribute is 1. `a` is (m,k), or (k,m) when ' +
    'transposed; `b` (k,n) or (n,k). With `squares`, `squares[squaresIndex]` becomes the sum of the ' +
    'squares of `c` as it is stored (fixed order; fp64, on a GPU over up to 128 squares at a time in ' +
    'fp32), the other sums stay',
  operands:
    'a:T[*,*] b:T[*,*] accumulator?:C[m,n] squares?:f32[p] -> c=accumulator:C[m,n] =squares[squaresIndex]',
  attributes: 'transposeA=0 transposeB=0 alpha=1 accumulate=0 squaresIndex=0',
  recompute: 'costly',
  pure: true,
  // Dense weight gradients stay apart, so that only one of them is alive.
  siblingKey({ inputs: [a], outputs: [c], attributes }) {
    const isDense = c!.kind === 'gradient' && a!.kind !== 'compressedActivation';
    return isDense ? undefined : [a!.id, attributes.transposeA, attributes.transposeB];
  },
  withSquares,
  flops: (node) => 2 * firstInputElements(node) * node.outputs[0]!.shape[1]!,
  decoding: {
    weight: 1,
    int8: (node, weight, groupSize) =>
      isPlain(node) ? matmulInt8(node.inputs[0]!, weight, groupSize, quantizedOptions(node)) : undefined,
    nf4: (node, weight) =>
      isPlain(node) ? matmulNf4(node.inputs[0]!, weight, quantizedOptions(node)) : undefined,
  },
  gradient({ node, outputGradients, needs, weightGradient, gradientDtype }) {
    const [a, b] = node.inputs as [Value, Value];
    const dy = outputGradients[0]!;
    const { transposeA, transposeB, alpha } = node.attributes as Record<string, number>;
    // Forward products are y = x W, or y = x W^T with an embedding table; others occur in backward only.
    if (transposeA)
      throw compactError('ERR_COMPACT_ARGUMENT', 'matmul: gradients are defined for a as it is stored only');
    const outputGradient = alpha === 1 || !(needs(0) || needs(1)) ? dy : scale(dy, alpha!);
    if (transposeB) {
      const gradient = { dtype: gradientDtype, kind: 'gradient' } as const;
      return [
        needs(0) ? matmul(outputGradient, b, { name: 'inputGradient' }) : undefined,
        needs(1) ? matmul(outputGradient, a, { transposeA: true, ...gradient }) : undefined,
        needs(2) ? dy : undefined,
      ];
    }
    return [
      needs(0) ? matmul(outputGradient, b, { transposeB: true, name: 'inputGradient' }) : undefined,
      needs(1) ? weightGradient({ input: a, outputGradient, weight: b }) : undefined,
      needs(2) ? dy : undefined,
    ];
  },
});

/** Whether a product is one of its operands alone, the first as it is stored. */
const isPlain = ({ inputs: [, , accumulator, squares], attributes: { transposeA, alpha } }: Node): boolean =>
  accumulator === undefined && squares === undefined && !transposeA && alpha === 1;

const quantizedOptions = ({ attributes, outputs: [c] }: Node): MatmulQuantizedOptions => ({
  transposeB: attributes.transposeB === 1,
  dtype: c!.dtype,
  kind: c!.kind,
  name: c!.name,
});

/** The layer y = input weight that a node is, if it is a plain product with a parameter. */
export function linearLayerOf({
  op,
  inputs,
  outputs,
  attributes,
}: Node): Readonly<Record<'input' | 'weight' | 'output', Value>> | undefined {
  const [input, weight, accumulator] = inputs;
  const { transposeA, transposeB, alpha } = attributes;
  const isPlain = accumulator === undefined && !transposeA && !transposeB && alpha === 1;
  if (op !== matmulOp.name || weight?.parameter === undefined || !isPlain) return undefined;
  return { input: input!, weight, output: outputs[0]! };
}
