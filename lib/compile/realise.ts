import { type Node, type Program, type Value, definitionOf, producersOf } from '../graph/index.js';
import { type Fate, blockOf } from './choose.js';

/**
 * Rewrites a program such that values between forward and backward have the fates that were chosen for them: backward
 * reads copies of their producers, or what was decoded, in their place. Copies and decoded values are shared within a
 * block of the model, never across blocks.
 */
export function realise(program: Program, fates: ReadonlyMap<Value, Fate>): Program {
  if ([...fates.values()].every((fate) => fate === 'keep')) return program;
  const { graph } = program;
  const producers = producersOf(program.nodes);
  const copies = new Map<string, readonly Value[]>();
  const encoded = new Map<Value, readonly Value[]>();

  const once = (key: string, make: () => readonly Value[]): readonly Value[] => {
    const known = copies.get(key) ?? make();
    copies.set(key, known);
    return known;
  };

  /** What backward reads in the place of a value. */
  const heldFor = (block: string, value: Value): Value => {
    const fate = fates.get(value) ?? 'keep';
    if (fate === 'keep') return value;
    const producer = producers.get(value)!;
    if (fate !== 'recompute') {
      const { encodedBy: codec } = fate;
      const codes = encoded.get(value) ?? graph.at(producer.layer, 'forward', () => codec.encode(value));
      encoded.set(value, codes);
      const decode = () => {
        graph.forgetCalls(); // equal calls of two blocks are two
        return [graph.at(producer.layer, 'backward', () => codec.decode(codes, value))];
      };
      return once(`${block}|decoded ${value.id}`, decode)[0]!;
    }
    const outputs = once(`${block}|${producer.id}`, () => {
      const inputs = producer.inputs.map((input) => input && heldFor(block, input));
      const definition = { ...definitionOf(producer), pure: false };
      return graph.at(producer.layer, 'backward', () =>
        graph.apply(definition, inputs, producer.attributes, producer.outputs),
      );
    });
    return outputs[producer.outputs.indexOf(value)]!;
  };

  const { result: nodes, nodes: made } = graph.collect(() =>
    program.nodes.map((node): Node => {
      if (node.phase === 'forward') return node;
      const block = blockOf(node.layer);
      return { ...node, inputs: node.inputs.map((input) => input && heldFor(block, input)) };
    }),
  );
  return { ...program, nodes: [...nodes, ...made] };
}
