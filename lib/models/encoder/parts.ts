import {
  bias,
  layerNorm,
  linear,
  type DType,
  type Graph,
  type ParameterRole,
  type Value,
} from '../../graph/index.js';

/** A linear layer: what errors and files call it, its sizes, and the layer whose input it reads, too. */
export interface Dense {
  readonly prefix: string;
  readonly outputs: number;
  readonly role: ParameterRole;
  readonly sharesInputWith?: string;
  readonly headSize?: number;
}

/** The layers that body and heads of an encoder are made of, with parameters of one dtype. */
export class EncoderParts {
  readonly #graph: Graph;
  readonly #dtype: DType;
  readonly #initializerRange: number;
  readonly #epsilon: number;

  constructor(
    graph: Graph,
    dtype: DType,
    { initializerRange, layerNormEps }: Readonly<Record<'initializerRange' | 'layerNormEps', number>>,
  ) {
    this.#graph = graph;
    this.#dtype = dtype;
    this.#initializerRange = initializerRange;
    this.#epsilon = layerNormEps;
  }

  /** A table (rows, width). */
  table(name: string, rows: number, width: number): Value {
    return this.#graph.parameter(name, [rows, width], this.#dtype, {
      role: 'embedding',
      initializer: { type: 'normal', standardDeviation: this.#initializerRange },
    });
  }

  /** x weight + bias. */
  dense(x: Value, { prefix, outputs, role, sharesInputWith, headSize }: Dense): Value {
    const weight = this.#graph.parameter(`${prefix}.weight`, [x.shape[1]!, outputs], this.#dtype, {
      role,
      initializer: { type: 'normal', standardDeviation: this.#initializerRange },
      sharesInputWith: sharesInputWith && `${sharesInputWith}.weight`,
      headSize,
    });
    return bias(linear(x, weight, role), this.vector(`${prefix}.bias`, outputs, 0));
  }

  norm(x: Value, prefix: string): Value {
    const weight = this.vector(`${prefix}.weight`, x.shape[1]!, 1);
    return layerNorm(x, weight, this.vector(`${prefix}.bias`, x.shape[1]!, 0), this.#epsilon);
  }

  /** Weights of norms start at 1, biases at 0. */
  vector(name: string, width: number, value: 0 | 1): Value {
    return this.#graph.parameter(name, [width], this.#dtype, {
      role: value === 1 ? 'norm' : 'bias',
      initializer: { type: 'constant', value },
    });
  }
}
