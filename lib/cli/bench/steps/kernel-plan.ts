import {
  planVersion,
  type Plan,
  type PlanInstruction,
  type PlanValue,
  type Target,
} from '../../../compile/index.js';
import { opDefinitions, valueBytes, type Graph, type Node, type Value } from '../../../graph/index.js';

const alignment = 256;

/** A plan that runs every node of a graph once, each value in a place of its own: for timing operations one by one. */
export function kernelPlan(graph: Graph, target: Target): Plan {
  const places = inPlaceOutputs(graph);
  const placed = graph.values.filter((value) => !places.has(value));
  const idOf = (value: Value | undefined): number =>
    value === undefined ? -1 : placed.indexOf(places.get(value) ?? value);
  let persistentBytes = 0;
  const values = placed.map((value, id): PlanValue => {
    const { name, layer, kind, dtype, shape } = value;
    const bytes = valueBytes(value);
    const offset = persistentBytes;
    persistentBytes += Math.ceil(bytes / alignment) * alignment;
    return { id, name: `${id} ${name}`, layer, kind, dtype, shape, region: 'persistent', offset, bytes };
  });
  const instructions = graph.nodes.map((node): PlanInstruction => {
    const { op, inputs, outputs, attributes, layer, phase } = node;
    const bytes = target.workspaceBytes({ op, inputs, outputs, attributes });
    return {
      op,
      inputs: inputs.map(idOf),
      outputs: outputs.map(idOf),
      attributes,
      isPreparedAhead: false,
      layer,
      phase,
      flops: definitionOf(node).flops(node),
      joinsPrevious: false,
      workspace: { offset: 0, bytes, kind: 'workspace' },
    };
  });
  const arenaBytes = Math.max(...instructions.map(({ workspace }) => workspace.bytes));
  const sizes = { arenaBytes, arenaLowerBoundBytes: arenaBytes };
  return {
    version: planVersion,
    device: target.device,
    scalars: [],
    values,
    entries: { run: { name: 'run', instructions, inputs: [], outputs: [], lifetimes: [], ...sizes } },
    persistentBytes,
    peakBytes: persistentBytes + arenaBytes,
    ...sizes,
  };
}

/** Outputs that are the memory of an input, of operations that work in place. */
function inPlaceOutputs(graph: Graph): ReadonlyMap<Value, Value> {
  return new Map(
    graph.nodes.flatMap((node) =>
      definitionOf(node).updates.map(
        ([output, input]) => [node.outputs[output]!, node.inputs[input]!] as const,
      ),
    ),
  );
}

const definitionOf = (node: Node) => opDefinitions.get(node.op)!;
