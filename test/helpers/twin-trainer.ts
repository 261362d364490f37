/** Trains a model with a method on the float64 twins: the mathematics of both, without compiler order or engine. */
import { applyUpdates } from '../../lib/compile/apply-method.js';
import { differentiate, type Differentiated } from '../../lib/compile/differentiate.js';
import { buildForward } from '../../lib/compile/forward.js';
import { producersOf, type BuildOptions, type Model, type Value } from '../../lib/graph/index.js';
import type { Method } from '../../lib/methods/index.js';
import { type Tensor, tensor } from '../reference/index.js';
import { evaluateNodes, type Scalars } from './evaluate-graph.js';
import { randomIntegers, randomTensor } from './random.js';

export type TwinOptions = Pick<BuildOptions, 'batchSize' | 'sequenceLength' | 'fuseSwiglu'>;

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
    for (const [name, data] of Object.entries(model.constants(options.sequenceLength)))
      this.persistent.set(name, tensor([options.sequenceLength, data.length / options.sequenceLength], data));
    for (const parameter of this.differentiated().graph.parameters) {
      const { initializer } = parameter.parameter!;
      const isConstant = initializer.type === 'constant';
      const data = randomTensor(parameter.name, parameter.shape, isConstant ? 0 : 0.3);
      if (isConstant) data.data.fill(initializer.value);
      this.persistent.set(parameter.name, data);
    }
  }

  differentiated(): Differentiated {
    const options = { ...this.#options, dtype: 'f32', purpose: 'train' } as const;
    const forward = buildForward('step', this.#model, options, this.#method);
    return differentiate(forward, { method: this.#method, gradientDtype: 'f32', window: false });
  }

  /** Loss and gradients by parameter name, without an update. */
  gradients(batch: string, scalars: Scalars = {}) {
    const program = this.differentiated();
    const tensors = this.#evaluate(program, batch, scalars);
    const gradients = [...program.gradients].map(
      ([{ name }, gradient]) => [name, tensors.get(gradient)!] as const,
    );
    return { loss: tensors.get(program.outputs.get('loss')!)!.data[0]!, gradients: new Map(gradients) };
  }

  /** One optimizer step on tokens that the name of the batch stands for; returns the loss before it. */
  step(batch: string, scalars: Scalars): number {
    const program = applyUpdates(this.differentiated(), this.#method);
    const tensors = this.#evaluate(program, batch, scalars);
    for (const value of program.graph.persistentValues) this.persistent.set(value.name, tensors.get(value)!);
    return tensors.get(program.outputs.get('loss')!)!.data[0]!;
  }

  #evaluate(
    { graph, nodes }: Pick<Differentiated, 'graph' | 'nodes'>,
    batch: string,
    scalars: Scalars,
  ): Map<Value, Tensor> {
    const { batchSize, sequenceLength } = this.#options;
    const shape = [batchSize * sequenceLength];
    const tensors = new Map<Value, Tensor>();
    const made = producersOf(nodes);
    for (const value of graph.values) {
      if (value.persistent) tensors.set(value, this.persistent.get(value.name) ?? tensor(value.shape));
      else if (value.kind === 'input' && !made.has(value))
        tensors.set(value, randomIntegers(`${batch} ${value.name}`, shape, this.#model.vocabularySize));
    }
    evaluateNodes(nodes, tensors, { lossScale: 1 / shape[0]!, projectionEpoch: 0, ...scalars });
    return tensors;
  }
}
