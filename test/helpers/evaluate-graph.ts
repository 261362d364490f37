/** Runs nodes of a graph with the float64 twins: gradient rules, methods and models can be tested without an engine. */
import {
  type Node,
  type RowsOf,
  type RuntimeScalar,
  scalarValue,
  type Value,
} from '../../lib/graph/index.js';
import { computeTwin, numElements, type Tensor, tensor } from '../reference/index.js';
import { sharedInput, signatures } from './signatures.js';

export type Scalars = Readonly<Partial<Record<RuntimeScalar, number>>>;

/**
 * Adds to `tensors` the outputs of the nodes, in order. Values that are updated in place get their new numbers under
 * both names.
 */
export function evaluateNodes(
  nodes: readonly Node[],
  tensors: Map<Value, Tensor>,
  scalars: Scalars = {},
): void {
  for (const node of nodes) {
    const signature = signatures.get(node.op)!;
    const inputs = node.inputs.map((input) => input && tensorOf(input, tensors));
    const outputs = computeTwin(
      node.op,
      Object.fromEntries(signature.inputs.map(({ name }, index) => [name, inputs[index]])),
      attributesOf(node, scalars),
    );
    for (const [index, output] of node.outputs.entries()) {
      const operand = signature.outputs[index]!;
      const result = tensor(output.shape, outputs[operand.name]!.data);
      tensors.set(output, result);
      const shared = sharedInput(signature, operand);
      const updated = signature.inputs.findIndex((input) => input.name === shared);
      const input = node.inputs[updated];
      if (input === undefined) continue;
      if (input.rowsOf === undefined) tensors.set(input, result);
      else putRows(input.rowsOf, result, tensors);
    }
  }
}

function putRows({ value, first }: RowsOf, rows: Tensor, tensors: Map<Value, Tensor>): void {
  const whole = tensor(value.shape, tensorOf(value, tensors).data.slice());
  whole.data.set(rows.data, (first * whole.data.length) / value.shape[0]!);
  tensors.set(value, whole);
}

function tensorOf(value: Value, tensors: ReadonlyMap<Value, Tensor>): Tensor {
  if (value.rowsOf !== undefined) {
    const { data } = tensorOf(value.rowsOf.value, tensors);
    const begin = (value.rowsOf.first * data.length) / value.rowsOf.value.shape[0]!;
    return tensor(value.shape, data.slice(begin, begin + numElements(value.shape)));
  }
  const found = tensors.get(value);
  if (found === undefined) throw new Error(`${value.layer}/${value.name} is read before it is written`);
  return found;
}

/** Attributes with their defaults, and what a twin has to be told because its operands do not show it. */
function attributesOf({ op, inputs, outputs, attributes }: Node, scalars: Scalars): Record<string, number> {
  const [output] = outputs as [Value];
  const numbers: Record<string, number> = {
    rank: { project: output.shape[1], projectLeft: output.shape[0] }[op] ?? inputs[1]?.shape[0] ?? 0,
    vocabulary: output.shape[0]!,
    outputRows: output.shape[0]!,
    columns: output.shape.at(-1)!,
    size: numElements(output.shape),
  };
  for (const [name, byDefault] of Object.entries(signatures.get(op)!.attributes)) {
    const given = attributes[name] ?? byDefault;
    const number = typeof given === 'object' ? scalarValue(scalars, given.scalar) : given;
    if (number === undefined) throw new Error(`${op}: ${name} has no value`);
    numbers[name] = number;
  }
  return numbers;
}
