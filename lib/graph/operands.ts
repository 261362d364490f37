// The operands of a call against the signature of its op. A wrong one is a mistake of the model's author, so the error
// names the op, the value and both shapes; the engine checks every instruction of a plan once more.
import { compactError } from '../errors.js';
import type { OutputSpec } from './graph.js';
import type { OpDefinition } from './op.js';
import { floatDtypes, requireDtype, requireSameElements, requireShape, type Tensor } from './ops/checks.js';
import { type Operand, presentOutputs } from './signature.js';
import { type DType, dtypeBytes, type Value } from './value.js';

type Op = Pick<OpDefinition, 'name' | 'signature'>;

/**
 * Numbers, dtypes and shapes of operands.
 * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_TYPE, ERR_COMPACT_SHAPE
 */
export function checkOperands(
  op: Op,
  inputs: readonly (Value | undefined)[],
  outputs: readonly Tensor[],
): void {
  const letters = boundBy(op, inputs);
  const expected = presentOutputs(op.signature, inputs);
  requireCount(op, 'outputs', expected, outputs);
  for (const [index, operand] of expected.entries()) letters.bind(op.name, operand, outputs[index]!);
}

/**
 * The outputs of a call: name, shape and dtype as they follow from the signature, all of an input that is updated.
 * @param given by output, what does not follow or is to be otherwise
 */
export function outputSpecs(
  op: Op,
  inputs: readonly (Value | undefined)[],
  given: Readonly<Record<string, Partial<OutputSpec>>>,
): readonly OutputSpec[] {
  const letters = boundBy(op, inputs);
  return presentOutputs(op.signature, inputs).map((operand) => ({
    ...(operand.updates === undefined
      ? { name: operand.name, shape: letters.shapeOf(operand)!, dtype: letters.dtypeOf(operand)! }
      : inputs[operand.updates]!),
    ...given[operand.name],
  }));
}

function boundBy(op: Op, inputs: readonly (Value | undefined)[]): Letters {
  const { name, signature } = op;
  requireCount(op, 'inputs', signature.inputs, inputs);
  const letters = new Letters();
  for (const [index, operand] of signature.inputs.entries()) {
    const input = inputs[index];
    if (input !== undefined) letters.bind(name, operand, input);
    else if (!operand.isOptional)
      throw compactError('ERR_COMPACT_TYPE', `${name}: ${operand.name} is missing`, {
        op: name,
        expected: 'a value',
        received: 'none',
      });
  }
  return letters;
}

function requireCount(
  { name }: Op,
  what: string,
  expected: readonly unknown[],
  received: readonly unknown[],
): void {
  if (received.length !== expected.length)
    throw compactError('ERR_COMPACT_ARGUMENT', `${name}: the number of ${what} is wrong`, {
      op: name,
      expected: `${expected.length}`,
      received: `${received.length}`,
    });
}

/** What a letter may stand for. */
const dtypesOf = ({ dtype }: Operand): readonly DType[] =>
  dtype.endsWith('|u8') ? [...floatDtypes, 'u8'] : floatDtypes;

/** What the letters of a signature stand for in one call. */
class Letters {
  readonly #dtypes = new Map<string, DType>();
  readonly #sizes = new Map<string, number>();
  /** The first operand of so many elements. */
  readonly #alike = new Map<string, Tensor>();

  /** Checks an operand by the letters that are known, and takes the others from it. */
  bind(op: string, operand: Operand, value: Tensor): void {
    const { dtype, sizes } = operand;
    const known = this.dtypeOf(operand);
    requireDtype(op, value, ...(known === undefined ? dtypesOf(operand) : [known]));
    this.#dtypes.set(dtype, value.dtype);
    if (sizes[0]!.startsWith('#')) {
      const first = this.#alike.get(sizes[0]!) ?? value;
      requireSameElements(op, first, value);
      this.#alike.set(sizes[0]!, first);
      return;
    }
    requireShape(
      op,
      value,
      sizes.map((size) => this.#sizeOf(size)),
    );
    for (const [index, size] of sizes.entries()) this.#sizes.set(size, value.shape[index]!);
  }

  /** Undefined where it does not follow. */
  dtypeOf({ dtype }: Operand): DType | undefined {
    return dtype in dtypeBytes ? (dtype as DType) : this.#dtypes.get(dtype);
  }

  /** Undefined where it does not follow. */
  shapeOf({ sizes }: Operand): readonly number[] | undefined {
    if (sizes[0]!.startsWith('#')) return this.#alike.get(sizes[0]!)?.shape;
    const shape = sizes.flatMap((size) => this.#sizeOf(size) ?? []);
    return shape.length === sizes.length ? shape : undefined;
  }

  #sizeOf(size: string): number | undefined {
    if (size === '*') return undefined;
    return this.#sizes.get(size) ?? (/^\d/.test(size) ? Number(size) : undefined);
  }
}
