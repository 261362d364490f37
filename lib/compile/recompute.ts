import { type Node, type Value, valueBytes } from '../graph/index.js';
import type { Keep, Method } from '../methods/index.js';
import type { RecomputePolicy } from './options.js';
import { type Program, definitionOf, producersOf, readersOf } from './program.js';

/**
 * Decides for every value that forward makes and backward reads whether it is kept or made again. A value is made
 * again by a copy of its producer in backward, which may need copies of earlier nodes, until everything that is read
 * is kept or persistent. Copies are shared within a block of the model, never across blocks.
 *
 * | policy | what survives forward |
 * |---|---|
 * | none | what the method says; `dense` keeps all |
 * | cheap | all but what element-wise work can rebuild from values that are kept anyway (norm outputs, SwiGLU product) |
 * | layer | the inputs of blocks (Chen et al. 2016, arXiv 1604.06174) |
 */
export function recompute(program: Program, policy: RecomputePolicy, method: Method): Program {
  const { graph } = program;
  const rebuilt = nodesToRebuild(program, policyOf(program, policy, method));
  if (rebuilt.size === 0) return program;
  const producers = producersOf(program.nodes);
  const copies = new Map<string, readonly Value[]>();

  const copied = (value: Value, block: string): Value => {
    const producer = producers.get(value);
    if (producer === undefined || producer.phase !== 'forward' || !rebuilt.has(producer)) return value;
    const key = `${block}|${producer.id}`;
    let outputs = copies.get(key);
    if (outputs === undefined) {
      const inputs = producer.inputs.map((input) => input && copied(input, block));
      const definition = { ...definitionOf(producer), pure: false };
      outputs = graph.at(producer.layer, 'backward', () =>
        graph.apply(definition, inputs, producer.attributes, producer.outputs),
      );
      copies.set(key, outputs);
    }
    return outputs[producer.outputs.indexOf(value)]!;
  };

  const firstCopy = graph.nodes.length;
  const nodes = program.nodes.map((node) => {
    if (node.phase === 'forward') return node;
    const block = blockOf(node.layer);
    return { ...node, inputs: node.inputs.map((input) => input && copied(input, block)) };
  });
  return { ...program, nodes: [...nodes, ...graph.nodes.slice(firstCopy)] };
}

type Decide = (value: Value) => Keep;

function policyOf(program: Program, policy: RecomputePolicy, method: Method): Decide {
  if (policy === 'none') return (value) => method.keep(value);
  if (policy === 'cheap') return () => 'recompute-if-cheap';
  const inputsOfBlocks = new Set<Value>();
  for (const node of program.nodes) {
    if (node.phase !== 'forward') continue;
    for (const input of node.inputs) {
      if (input !== undefined && blockOf(input.layer) !== blockOf(node.layer)) inputsOfBlocks.add(input);
    }
  }
  return (value) => (inputsOfBlocks.has(value) ? 'keep' : 'recompute');
}

/** `layers.3` of `layers.3.attention`: what checkpointing treats as one block. */
export function blockOf(layer: string): string {
  return /^[^.]*\.\d+/.exec(layer)?.[0] ?? layer;
}

/** Whether what backward reads of a node is worth a copy of it: a few numbers per row beside a result are not. */
function isMostOf(node: Node, needed: ReadonlySet<Value>): boolean {
  let neededBytes = 0;
  let allBytes = 0;
  for (const output of node.outputs) {
    const bytes = valueBytes(output);
    allBytes += bytes;
    if (needed.has(output)) neededBytes += bytes;
  }
  return 2 * neededBytes >= allBytes;
}

/** Forward nodes that get copies in backward. */
function nodesToRebuild(program: Program, decide: Decide): ReadonlySet<Node> {
  const producers = producersOf(program.nodes);
  const forwardProducer = (value: Value | undefined): Node | undefined => {
    const producer = value && producers.get(value);
    return producer?.phase === 'forward' ? producer : undefined;
  };
  // The node of the loss also makes the first gradients: there is nothing to gain by a second one.
  const results = new Set([...program.outputs.values()].map((output) => producers.get(output)));

  /** The producers of `needed` values that are copied rather than their results kept. */
  const rebuiltFor = (needed: ReadonlySet<Value>): Set<Node> => {
    const known = new Map<Node, boolean>();
    const isRebuilt = (node: Node): boolean => {
      let answer = known.get(node);
      if (answer === undefined) known.set(node, (answer = decideNode(node)));
      return answer;
    };
    const decideNode = (node: Node): boolean => {
      const isNeeded = node.outputs.some((output) => needed.has(output));
      if (results.has(node) || (isNeeded && !isMostOf(node, needed))) return false;
      const decisions = node.outputs.filter((output) => !isNeeded || needed.has(output)).map(decide);
      if (decisions.includes('keep')) return false;
      if (decisions.includes('recompute')) return true;
      // Copies that would have to keep something else instead gain nothing.
      return definitionOf(node).recompute === 'cheap' && node.inputs.every(isReadable);
    };
    const isReadable = (value: Value | undefined): boolean => {
      const producer = forwardProducer(value);
      return producer === undefined || needed.has(value!) || isRebuilt(producer);
    };
    return new Set([...needed].map((value) => forwardProducer(value)!).filter(isRebuilt));
  };

  let needed = new Set<Value>();
  for (const [value, readers] of readersOf(program.nodes)) {
    if (forwardProducer(value) && readers.some(({ phase }) => phase !== 'forward')) needed.add(value);
  }
  // Copies need values too, until nothing new is needed.
  for (;;) {
    const rebuilt = rebuiltFor(needed);
    const inputs = [...rebuilt].flatMap((node) => node.inputs).filter((input) => forwardProducer(input));
    const more = new Set([...needed, ...(inputs as Value[])]);
    if (more.size === needed.size) return rebuilt;
    needed = more;
  }
}
