import { compactError } from '../errors.js';
import {
  type Attribute,
  type DType,
  type GradientContext,
  type Graph,
  type Node,
  type Program,
  type Value,
  add,
  definitionOf,
  nameOfStates,
  scalar,
} from '../graph/index.js';
import type { Method } from '../methods/index.js';
import { ownValue, resultsOf, type Forward } from './forward.js';

export interface DifferentiateOptions {
  readonly method: Method;
  readonly gradientDtype: DType;
  /**
   * Gradients live in persistent values, named as states of their parameters are, and add up over the runs of a window
   * (runtime scalar `accumulate`).
   */
  readonly window: boolean;
}

export interface Differentiated extends Program {
  /** The gradient of each parameter, in the order in which they become complete. */
  readonly gradients: ReadonlyMap<Value, Value>;
}

export const gradientName = (parameter: Value): string => `${nameOfStates(parameter)}.gradient`;

/**
 * Reverse mode: walks the forward nodes backwards and asks each op's rule for the gradients of its inputs. What a rule
 * names is what backward needs; nothing else is saved. The contributions of several uses of a value are added in
 * place where the producing op can do that, else by an add.
 */
export function differentiate(forward: Forward, options: DifferentiateOptions): Differentiated {
  const { graph } = forward;
  const gathered = new GatheredGradients(graph, options.window, passedThrough(forward.nodes));
  const { result: loss, nodes } = graph.collect(() => walkBackwards(forward, options, gathered));
  const kept = [...forward.nodes, ...nodes].filter((node) => !gathered.superseded.has(node));
  return {
    ...forward,
    nodes: kept,
    outputs: resultsOf('loss', loss, kept),
    gradients: gathered.ofParameters(),
  };
}

/** Builds backward and returns the loss, which its gradients are made with. */
function walkBackwards(
  { graph, nodes, result: loss }: Forward,
  { method, gradientDtype }: DifferentiateOptions,
  gathered: GatheredGradients,
): Value {
  const wanted = valuesWithGradient(nodes, method);
  let lossValue: Value | undefined;
  for (const node of nodes.toReversed()) {
    const context = {
      node,
      gradientDtype,
      needs: (index: number) => node.inputs[index] !== undefined && wanted.has(node.inputs[index]),
      weightGradient: (linear) =>
        ownValue(
          graph,
          method.weightGradient(graph, { ...linear, weight: gathered.ownerOf(linear.weight) }, gradientDtype),
          `weightGradient() of the method ${method.name}`,
        ),
      takeGathered: (index: number) => gathered.take(node.inputs[index]!),
    } satisfies Omit<GradientContext, 'outputGradients'>;
    const definition = definitionOf(node);
    if (definition.passesGradient) continue;
    if (node.outputs.includes(loss)) {
      // The fused node stands at the end of forward: what only it reads is not saved for backward.
      const { result: fused, nodes: made } = graph.collect(() =>
        graph.at(node.layer, 'forward', () => definition.fusedLossGradient?.(context)),
      );
      if (fused === undefined) throw withoutGradient(node, 'a loss');
      lossValue = gathered.add(node, fused.inputGradients, made).get(fused.loss) ?? fused.loss;
      continue;
    }
    const outputGradients = node.outputs.map((output) => gathered.get(output));
    if (!node.outputs.some((output) => wanted.has(output)) || outputGradients.every((g) => g === undefined))
      continue;
    const { result: inputGradients, nodes: made } = graph.collect(() =>
      graph.at(node.layer, 'backward', () => {
        const whole = { ...context, outputGradients };
        return method.gradient?.(whole) ?? definition.gradient?.(whole);
      }),
    );
    if (inputGradients === undefined) throw withoutGradient(node, 'a gradient');
    graph.at(node.layer, 'backward', () => gathered.add(node, inputGradients, made));
  }
  return lossValue!;
}

function withoutGradient(node: Node, what: string): Error {
  return compactError('ERR_COMPACT_OP_UNSUPPORTED', `${node.op} of ${node.layer} cannot be differentiated`, {
    op: node.op,
    expected: `an op with ${what} rule`,
    received: node.op,
  });
}

/** What is given the gradients of values that are passed through to it. */
function passedThrough(nodes: readonly Node[]): ReadonlyMap<Value, Value> {
  const owners = new Map<Value, Value>();
  for (const node of nodes) {
    if (!definitionOf(node).passesGradient) continue;
    const [input] = node.inputs as [Value];
    owners.set(node.outputs[0]!, owners.get(input) ?? input);
  }
  return owners;
}

/** Parameters that are trained, and everything that depends on one. */
function valuesWithGradient(nodes: readonly Node[], { isTrained = () => true }: Method): Set<Value> {
  const wanted = new Set<Value>();
  for (const node of nodes) {
    let depends = false;
    for (const input of node.inputs) {
      if (input?.parameter !== undefined && isTrained(input)) wanted.add(input);
      if (input !== undefined && wanted.has(input)) depends = true;
    }
    if (depends) for (const output of node.outputs) wanted.add(output);
  }
  return wanted;
}

interface Gathered {
  readonly value: Value;
  /** Nothing else reads this value, so it may be added to in place. */
  readonly exclusive: boolean;
}

/** The sums of gradient contributions so far. */
class GatheredGradients {
  /** Nodes with an accumulator that were built again with one more. */
  readonly superseded = new Set<Node>();
  readonly #sums = new Map<Value, Gathered>();
  /** Of what backward has made. */
  readonly #producers = new Map<Value, Node>();
  readonly #graph: Graph;
  readonly #window: boolean;
  readonly #owners: ReadonlyMap<Value, Value>;

  /** @param owners what is given the gradients of some values */
  constructor(graph: Graph, window: boolean, owners: ReadonlyMap<Value, Value>) {
    this.#graph = graph;
    this.#window = window;
    this.#owners = owners;
  }

  /** What is given the gradient of a value: for most of them the value itself. */
  ownerOf(value: Value): Value {
    return this.#owners.get(value) ?? value;
  }

  get(value: Value): Value | undefined {
    return this.#sums.get(value)?.value;
  }

  take(value: Value): Value | undefined {
    const sum = this.#sums.get(value);
    this.#sums.delete(value);
    return sum?.value;
  }

  ofParameters(): Map<Value, Value> {
    const gradients = new Map<Value, Value>();
    for (const [value, sum] of this.#sums) if (value.parameter !== undefined) gradients.set(value, sum.value);
    return gradients;
  }

  /**
   * Adds what the rule of one node returned; the nodes that the rule made may be built again with an accumulator.
   * Returns what then took the place of which value.
   */
  add(
    node: Node,
    returned: readonly (Value | undefined)[],
    made: readonly Node[],
  ): ReadonlyMap<Value, Value> {
    const ofRule = new Set(made.flatMap(({ outputs }) => outputs));
    for (const maker of made) this.#makes(maker);
    const replaced = new Map<Value, Value>();
    const contributions = returned.flatMap((value, index): Contribution[] => {
      if (value === undefined) return [];
      const exclusive = ofRule.has(value) && returned.filter((other) => other === value).length === 1;
      return [{ target: this.ownerOf(node.inputs[index]!), value, exclusive }];
    });
    // What is added in place comes first: it makes the rule's nodes anew, and the rest has to name the new ones.
    const rest = contributions.filter((contribution) => !this.#addInPlace(contribution, replaced));
    for (const { target, value, exclusive } of rest) {
      const contribution = replaced.get(value) ?? value;
      if (this.#hasWindow(target))
        throw withoutAccumulator(target, this.#producers.get(contribution)?.op ?? contribution.name);
      const known = this.#sums.get(target);
      if (known === undefined) this.#set(target, { value: contribution, exclusive });
      else this.#set(target, { value: add(known.value, contribution), exclusive: true });
    }
    return replaced;
  }

  #hasWindow(target: Value): boolean {
    return this.#window && target.parameter !== undefined;
  }

  /** Set anew, so that the order of the map is the order of completion. */
  #set(target: Value, sum: Gathered): void {
    this.#sums.delete(target);
    this.#sums.set(target, sum);
  }

  #addInPlace({ target, value, exclusive }: Contribution, replaced: Map<Value, Value>): boolean {
    const contribution = replaced.get(value) ?? value;
    const producer = this.#producers.get(contribution);
    const known = this.#sums.get(target);
    if (!exclusive || producer === undefined || (known !== undefined && !known.exclusive)) return false;
    if (known === undefined && !this.#hasWindow(target)) return false;
    const definition = definitionOf(producer);
    const output = producer.outputs.indexOf(contribution);
    const slot = definition.accumulators.find(([candidate]) => candidate === output)?.[1];
    if (slot === undefined || (known !== undefined && known.value.dtype !== contribution.dtype)) return false;
    const sum = known?.value ?? this.#windowOf(target, contribution);
    const accumulate: Attribute = known === undefined ? scalar('accumulate') : 1;
    const taken = definition.accumulators.some(([, input]) => producer.inputs[input] !== undefined);
    if (taken && JSON.stringify(producer.attributes.accumulate) !== JSON.stringify(accumulate)) return false;
    if (taken) this.superseded.add(producer);
    const { result: outputs, nodes } = this.#graph.collect(() =>
      this.#graph.at(producer.layer, producer.phase, () =>
        this.#graph.apply(
          { ...definition, pure: false },
          producer.inputs.map((input, index) => (index === slot ? sum : input)),
          { ...producer.attributes, accumulate },
          producer.outputs,
        ),
      ),
    );
    for (const maker of nodes) this.#makes(maker);
    for (const [index, old] of producer.outputs.entries()) {
      const latest = outputs[index]!;
      for (const [original, current] of replaced) if (current === old) replaced.set(original, latest);
      replaced.set(old, latest);
      for (const [owner, gathered] of this.#sums)
        if (gathered.value === old) this.#sums.set(owner, { ...gathered, value: latest });
    }
    this.#set(target, { value: outputs[output]!, exclusive: true });
    return true;
  }

  #makes(node: Node): void {
    for (const output of node.outputs) this.#producers.set(output, node);
  }

  #windowOf(parameter: Value, { shape, dtype }: Value): Value {
    return this.#graph.at(parameter.layer, 'backward', () =>
      this.#graph.state(gradientName(parameter), shape, dtype, 'gradient'),
    );
  }
}

interface Contribution {
  readonly target: Value;
  readonly value: Value;
  /** Made for this use alone. */
  readonly exclusive: boolean;
}

function withoutAccumulator(parameter: Value, made: string): Error {
  return compactError(
    'ERR_COMPACT_OP_UNSUPPORTED',
    `the gradient of ${parameter.name} cannot add up over a window`,
    {
      op: made,
      expected: 'a gradient made by an op with an accumulator',
      received: made,
    },
  );
}
