/** One call of one op with its data, and what the twin says it gives. */
import {
  computeTwin,
  type Inputs,
  numElements,
  type Numbers,
  type Outputs,
  type Tensor,
} from '../reference/index.js';
import type { Operand as OperandSignature, OutputOperand, Signature } from '../../lib/graph/index.js';
import { roundToBf16 } from '../reference/bf16.js';
import { sharedInput, signatures } from './signatures.js';
import { type DType, elementBytes, rounded } from './storage.js';

export interface OpCaseOptions {
  readonly op: string;
  /** What is special about it; shapes and dtypes are added. */
  readonly label?: string;
  /** By operand name; floating-point values are rounded to the dtype of the case. */
  readonly inputs: Inputs;
  /**
   * Those of the signature, and what the twin must be told beside them (rank, vocabulary, columns, size); `elementBytes` of the
   * first input it is told always.
   */
  readonly attributes?: Numbers;
  /** Outputs that take over the memory of an input, beyond those that the signature names. */
  readonly inPlace?: Readonly<Record<string, string>>;
  /** Allowance on top of the general rule, by output, with its reason beside it. */
  readonly absolute?: Readonly<Record<string, number>>;
  /** Allowance where matrix units (tensor cores, AMX) take bf16 operands, by output: of the largest right value. */
  readonly onMatrixUnits?: Readonly<Record<string, number>>;
}

export interface Operand {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Inputs only. */
  readonly values?: Tensor;
  /** Outputs only: the input whose memory it is. */
  readonly updates?: string;
}

export interface OpCase {
  readonly name: string;
  readonly op: string;
  /** In the order of the signature; undefined where an optional input is absent. */
  readonly inputs: readonly (Operand | undefined)[];
  readonly outputs: readonly Operand[];
  readonly attributes: Numbers;
  readonly right: Outputs;
  readonly naive: Outputs;
  readonly absolute: Readonly<Record<string, number>>;
  readonly onMatrixUnits: Readonly<Record<string, number>>;
}

/** The case in every mixture of f32 and bf16 that the signature allows, or in those given. */
export function opCases(options: OpCaseOptions, mixtures?: readonly string[]): OpCase[] {
  const signature = signatures.get(options.op)!;
  const isPresent = (operand: OutputOperand) =>
    options.inputs[sharedInput(signature, operand) ?? operand.name] !== undefined || !operand.isOptional;
  const used = [...signature.inputs.filter(isPresent), ...signature.outputs.filter(isPresent)];
  const letters = [...new Set(used.map(({ dtype }) => dtype).filter((dtype) => /^[A-Z]/.test(dtype)))];
  const wanted = mixtures ?? allMixtures(letters.length);
  return wanted.map((mixture) => {
    const dtypes = mixture.split(' ').map((dtype, i) => [letters[i]!, dtype] as const);
    return opCase(signature, options, Object.fromEntries(dtypes) as Readonly<Record<string, DType>>);
  });
}

function allMixtures(count: number): string[] {
  return Array.from({ length: 2 ** count }, (_, bits) =>
    Array.from({ length: count }, (_, i) => ((bits >> i) & 1 ? 'bf16' : 'f32')).join(' '),
  );
}

function opCase(
  signature: Signature,
  options: OpCaseOptions,
  letters: Readonly<Record<string, DType>>,
): OpCase {
  const dtypeOf = ({ dtype }: OperandSignature) => letters[dtype] ?? (dtype as DType);
  const inputs = signature.inputs.map((operand): Operand | undefined => {
    const given = options.inputs[operand.name];
    if (given === undefined) return undefined;
    const dtype = dtypeOf(operand);
    const values = dtype === 'f32' || dtype === 'bf16' ? rounded(given, dtype) : given;
    return { name: operand.name, dtype, shape: given.shape, values };
  });
  const values = Object.fromEntries(inputs.flatMap((input) => (input ? [[input.name, input.values!]] : [])));
  const attributes = {
    ...defined(signature.attributes),
    elementBytes: elementBytes[inputs[0]?.dtype ?? 'f32'],
    ...options.attributes,
  };
  const right = computeTwin(options.op, values, attributes);
  const isBf16 = inputs[0]?.dtype === 'bf16';
  const outputs = signature.outputs
    .filter(({ name }) => right[name] !== undefined)
    .map((operand): Operand => {
      const updates = options.inPlace?.[operand.name] ?? sharedInput(signature, operand);
      const isShared = updates !== undefined && values[updates] !== undefined;
      const { name } = operand;
      return { name, dtype: dtypeOf(operand), shape: right[name]!.shape, ...(isShared && { updates }) };
    });
  const label = options.label === undefined ? '' : ` ${options.label}`;
  return {
    name: `${options.op}${label} ${inputs.map(describe).join(' ')} -> ${outputs.map(describe).join(' ')}`,
    op: options.op,
    inputs,
    outputs,
    attributes,
    right,
    naive: computeTwin(options.op, values, attributes, Math.fround, isBf16 ? roundToBf16 : Math.fround),
    absolute: options.absolute ?? {},
    onMatrixUnits: isBf16 ? (options.onMatrixUnits ?? {}) : {},
  };
}

const describe = (operand: Operand | undefined): string =>
  operand === undefined ? '-' : `${operand.dtype}[${operand.shape.join()}]`;

const defined = (attributes: Readonly<Record<string, number | undefined>>): Numbers =>
  Object.fromEntries(
    Object.entries(attributes).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );

/** Attributes that the op itself knows. */
export const nativeAttributes = ({ op, attributes }: OpCase): Numbers => {
  const { attributes: known } = signatures.get(op)!;
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => name in known));
};

export const operandElements = ({ shape }: Operand): number => numElements(shape);
