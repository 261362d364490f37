import {
  type Node,
  type Program,
  type Value,
  definitionOf,
  producersOf,
  readersOf,
  valueBytes,
} from '../graph/index.js';
import type { Codec, Saving } from '../methods/index.js';
import type { RecomputePolicy } from './options.js';

/** What happens to a value that forward makes and backward reads. */
export type Fate = 'keep' | 'recompute' | { readonly encodedBy: Codec };

/**
 * Decides for every value that forward makes and backward reads whether it is kept, made again, or kept in another form.
 * A value is made again by a copy of its producer in backward, which may need copies of earlier nodes, until everything
 * that is read is kept or persistent. The method's codec is asked for what is kept, but for first gradients and for a
 * few numbers per row beside a result (a norm's deviations), which stay as they are.
 *
 * | policy | what survives forward |
 * |---|---|
 * | none | all, or all but what is cheap to rebuild where the method asks for that |
 * | cheap | all but what element-wise work can rebuild from values that are kept anyway (norm outputs, SwiGLU product) |
 * | layer | the inputs of blocks (Chen et al. 2016, arXiv 1604.06174) |
 */
export function choose(program: Program, policy: RecomputePolicy, saving: Saving): ReadonlyMap<Value, Fate> {
  const { needed, rebuilt } = rebuiltNodes(
    program,
    policyOf(program, policy === 'none' ? saving.recompute : policy),
  );
  const producers = producersOf(program.nodes);
  const results = resultNodes(program);
  const codecOf = (value: Value): Codec | undefined => {
    const producer = producers.get(value)!;
    return results.has(producer) || !isMostOf(producer, new Set([value])) ? undefined : saving.codec?.(value);
  };
  return new Map(
    [...needed].map((value): [Value, Fate] => {
      if (rebuilt.has(producers.get(value)!)) return [value, 'recompute'];
      const codec = codecOf(value);
      return [value, codec === undefined ? 'keep' : { encodedBy: codec }];
    }),
  );
}

/** The node of the loss, which makes the first gradients too. */
const resultNodes = ({ nodes, outputs }: Program): ReadonlySet<Node> => {
  const results = new Set(outputs.values());
  return new Set(nodes.filter((node) => node.outputs.some((output) => results.has(output))));
};

type Wish = 'keep' | 'recompute' | 'recompute-if-cheap';
type Decide = (value: Value) => Wish;

function policyOf(program: Program, policy: RecomputePolicy): Decide {
  if (policy === 'none') return () => 'keep';
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

/** Whether what backward reads of a node is worth work on it: a few numbers per row beside a result are not. */
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

/** The values that backward and its copies read of forward, and the nodes that get copies. */
function rebuiltNodes(
  program: Program,
  decide: Decide,
): { readonly needed: ReadonlySet<Value>; readonly rebuilt: ReadonlySet<Node> } {
  const producers = producersOf(program.nodes);
  const forwardProducer = (value: Value | undefined): Node | undefined => {
    const producer = value && producers.get(value);
    return producer?.phase === 'forward' ? producer : undefined;
  };
  const results = resultNodes(program); // there is nothing to gain by a second one

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
    if (more.size === needed.size) return { needed, rebuilt };
    needed = more;
  }
}
