/** Trains a model with a method on the float64 twins: the mathematics of both, without compiler order or engine. */
import { applyUpdates, persistentCopy } from '../../lib/compile/apply-method.js';
import { choose } from '../../lib/compile/choose.js';
import { differentiate, type Differentiated } from '../../lib/compile/differentiate.js';
import { buildForward } from '../../lib/compile/forward.js';
import { gradientsByRows } from '../../lib/compile/gradient-rows.js';
import type { RecomputePolicy } from '../../lib/compile/index.js';
import { order } from '../../lib/compile/order.js';
import { realise } from '../../lib/compile/realise.js';
import {
  Graph,
  producersOf,
  type BuildOptions,
  type CodedNumbers,
  type Model,
  type Program,
  type Value,
} from '../../lib/graph/index.js';
import type { Method } from '../../lib/methods/index.js';
import { type Tensor, tensor } from '../reference/index.js';
import { transposed } from '../reference/product.js';
import { evaluateNodes, type Scalars } from './evaluate-graph.js';
import { randomIntegers, randomTensor } from './random.js';
import { rounded } from './storage.js';

export interface TwinOptions extends Pick<BuildOptions, 'batchSize' | 'sequenceLength' | 'fuseSwiglu'> {
  /** Steps go through the passes that decide what is held between forward and backward. Absent: all is held as it is. */
  readonly recompute?: RecomputePolicy;
  /** What backward reads in the place of what forward made, instead of those passes. */
  readonly heldAs?: (value: Value, made: Tensor) => Tensor;
}

/** Every matrix is drawn input by input, also a head, which stands output by output. */
const drawn = ({ name, shape, parameter }: Value, scale: number): Tensor =>
  parameter!.role === 'head'
    ? transposed(randomTensor(name, shape.toReversed(), scale))
    : randomTensor(name, shape, scale);

export class TwinTrainer {
  /** Weights, moments and tables by name. */
  readonly persistent = new Map<string, Tensor>();
  readonly #model: Model;
  readonly #method: Method;
  readonly #options: TwinOptions;

  constructor(model: Model, method: Method, options: TwinOptions) {
    this.#model = model;
    this.#method = method;
    this.#options = options;
    const { graph } = this.differentiated();
    const constants = model.constants(options.sequenceLength);
    for (const { name, shape } of graph.persistentValues)
      if (constants[name] !== undefined) this.persistent.set(name, tensor(shape, constants[name]));
    for (const parameter of graph.parameters) {
      const { initializer, codesOf } = parameter.parameter!;
      if (codesOf !== undefined) {
        this.#encode(parameter, codesOf);
        continue;
      }
      const isConstant = initializer.type === 'constant';
      const data = drawn(parameter, isConstant ? 0 : 0.3);
      if (isConstant) data.data.fill(initializer.value);
      this.persistent.set(parameter.name, data);
    }
    const { prepare } = method;
    if (prepare !== undefined) this.#runFor(graph.parameters, prepare, {});
  }

  differentiated(): Differentiated {
    const options = { ...this.#options, dtype: 'f32', purpose: 'train' } as const;
    const forward = buildForward('step', this.#model, options, this.#method);
    return differentiate(forward, { method: this.#method, gradientDtype: 'f32', window: false });
  }

  /** Loss and gradients by parameter name, without an update. */
  gradients(batch: string, scalars: Scalars = {}) {
    const program = this.differentiated();
    const tensors = this.#evaluate(this.#realised(program), batch, scalars);
    const gradients = [...program.gradients].map(
      ([{ name }, gradient]) => [name, tensors.get(gradient)!] as const,
    );
    return { loss: tensors.get(program.outputs.get('loss')!)!.data[0]!, gradients: new Map(gradients) };
  }

  /** One optimizer step on tokens that the name of the batch stands for; returns the loss before it. */
  step(batch: string, scalars: Scalars): number {
    const program = this.#realised(
      applyUpdates(gradientsByRows(this.differentiated(), this.#method), this.#method),
    );
    const tensors = this.#evaluate(program, batch, scalars);
    for (const value of program.graph.persistentValues) this.persistent.set(value.name, tensors.get(value)!);
    return tensors.get(program.outputs.get('loss')!)!.data[0]!;
  }

  /** Runs what the method does between steps under the name of an entry. */
  between(entry: string, scalars: Scalars): void {
    const clocks = Object.values(this.#method.clocks ?? {});
    const build = (graph: Graph, parameter: Value): void => {
      for (const { entries = {} } of clocks) entries[entry]?.(graph, parameter);
    };
    this.#runFor(this.differentiated().graph.parameters, build, scalars);
  }

  #runFor(
    parameters: readonly Value[],
    build: (graph: Graph, parameter: Value) => void,
    scalars: Scalars,
  ): void {
    const graph = new Graph();
    for (const parameter of parameters) {
      const target = persistentCopy(graph, parameter);
      graph.at(parameter.layer, 'update', () => build(graph, target));
    }
    const tensors = new Map<Value, Tensor>();
    for (const value of graph.persistentValues)
      tensors.set(value, this.persistent.get(value.name) ?? tensor(value.shape));
    evaluateNodes(graph.nodes, tensors, scalars);
    for (const value of graph.persistentValues) this.persistent.set(value.name, tensors.get(value)!);
  }

  /** Starts codes as what they make of random numbers. */
  #encode(parameter: Value, { shape, encode }: CodedNumbers): void {
    const graph = new Graph();
    const numbers = graph.input('numbers', shape, 'f32');
    encode(numbers, persistentCopy(graph, parameter));
    const tensors = new Map([[numbers, rounded(randomTensor(parameter.name, shape, 0.3), 'f32')]]);
    evaluateNodes(graph.nodes, tensors, {});
    for (const value of graph.persistentValues) this.persistent.set(value.name, tensors.get(value)!);
  }

  #realised(program: Program): Program {
    const { recompute } = this.#options;
    if (recompute === undefined) return program;
    return order(realise(program, choose(program, recompute, this.#method.saving)), 'early');
  }

  /** Ids below those of the field, 0 or 1 for a mask, or numbers. */
  #inputOf(batch: string, { name, shape, dtype }: Value): Tensor {
    const field = this.#model.batchFields.find((candidate) => candidate.name === name)!;
    const title = `${batch} ${name}`;
    return dtype === 'f32' ? randomTensor(title, shape) : randomIntegers(title, shape, field.numIds ?? 2);
  }

  #evaluate(
    { graph, nodes }: Pick<Differentiated, 'graph' | 'nodes'>,
    batch: string,
    scalars: Scalars,
  ): Map<Value, Tensor> {
    const { batchSize, sequenceLength, heldAs } = this.#options;
    const tensors = new Map<Value, Tensor>();
    const made = producersOf(nodes);
    for (const value of graph.values) {
      if (value.persistent) tensors.set(value, this.persistent.get(value.name) ?? tensor(value.shape));
      else if (value.kind === 'input' && !made.has(value)) tensors.set(value, this.#inputOf(batch, value));
    }
    const all = { lossScale: 1 / (batchSize * sequenceLength), projectionEpoch: 0, ...scalars };
    if (heldAs === undefined) evaluateNodes(nodes, tensors, all);
    else {
      const forward = nodes.filter(({ phase }) => phase === 'forward');
      evaluateNodes(forward, tensors, all);
      for (const { outputs } of forward)
        for (const value of outputs) tensors.set(value, heldAs(value, tensors.get(value)!));
      const rest = nodes.filter(({ phase }) => phase !== 'forward');
      evaluateNodes(rest, tensors, all);
    }
    return tensors;
  }
}
