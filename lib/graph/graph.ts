import { compactError } from '../errors.js';
import type { Attributes, Node, Phase } from './node.js';
import type { OpDefinition } from './op.js';
import { checkOperands } from './operands.js';
import { parameterId } from './parameter-id.js';
import { dtypeBytes, numElements } from './value.js';
import type { DType, ParameterInfo, ParameterOptions, RowsOf, Turn, Value, ValueKind } from './value.js';

/** An output that a node is to have: its name, shape, dtype, and category ('activation' by default). */
export interface OutputSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly kind?: ValueKind;
}

/**
 * Builds values and the nodes that make them. What is built belongs to whoever builds it, as a list of nodes in a valid
 * order of execution (`collect`); what of it is run, and who makes a value there, a `Program` says.
 * Equal calls of pure ops are merged as they are built, so layers that project the same input by the same
 * seed share one result without knowing of each other.
 */
export class Graph {
  /** All that was ever built here, in order, what programs dropped since included. */
  readonly nodes: Node[] = [];
  readonly values: Value[] = [];
  readonly #persistent = new Map<string, Value>();
  readonly #rows = new Map<string, Value>();
  readonly #merged = new Map<string, Node>();
  readonly #parameterNames = new Map<number, string>();
  #layer = '';
  #phase: Phase = 'forward';

  /** Runs `build` with every new node and value belonging to `layer` (nested names are joined by dots). */
  inLayer<T>(layer: string, build: () => T): T {
    const outer = this.#layer;
    this.#layer = outer === '' ? layer : `${outer}.${layer}`;
    try {
      return build();
    } finally {
      this.#layer = outer;
    }
  }

  /** Runs `build` with new nodes belonging to an exact layer and phase; used by the compiler. */
  at<T>(layer: string, phase: Phase, build: () => T): T {
    const outer = [this.#layer, this.#phase] as const;
    this.#layer = layer;
    this.#phase = phase;
    try {
      return build();
    } finally {
      [this.#layer, this.#phase] = outer;
    }
  }

  /** Runs `build` and tells which nodes it added, in order; calls that were merged with earlier ones add none. */
  collect<T>(build: () => T): { readonly result: T; readonly nodes: readonly Node[] } {
    const first = this.nodes.length;
    const result = build();
    return { result, nodes: this.nodes.slice(first) };
  }

  /** Merges what is built from now on with nothing that was built before, which a program may have dropped or moved. */
  forgetCalls(): void {
    this.#merged.clear();
  }

  /** A tensor that the caller writes before each run (token ids, targets). */
  input(name: string, shape: readonly number[], dtype: DType): Value {
    return this.#value({ name, shape, dtype, kind: 'input' });
  }

  /**
   * A trainable tensor; asking for the same name again returns the same value (tied weights).
   * @throws ERR_COMPACT_ARGUMENT when another parameter has a name of the same `parameterId`
   */
  parameter(name: string, shape: readonly number[], dtype: DType, options: ParameterOptions): Value {
    const tensorId = this.#tensorId(name);
    return this.#persistentValue({ name, shape, dtype, kind: 'parameter' }, { ...options, tensorId });
  }

  /**
   * Rows [first, first + count) of a persistent value, read and updated where they stand; asking again returns the same
   * value. Those of a parameter have random numbers of their own.
   * @throws ERR_COMPACT_ARGUMENT as `parameter`
   */
  rows(value: Value, first: number, count: number): Value {
    const name = `${value.name}[${first}:${first + count}]`;
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const { dtype, kind, layer, parameter: info } = value;
    const parameter = info && { ...info, tensorId: this.#tensorId(name) };
    const shape = [count, ...value.shape.slice(1)];
    const rows = this.at(layer, this.#phase, () =>
      this.#value({ name, shape, dtype, kind }, true, parameter, { value, first }),
    );
    this.#rows.set(name, rows);
    return rows;
  }

  /** Lets a parameter be trained in turns: those with states of one name share them, one at a time. For rewrites of methods. */
  takeTurns(parameter: Value, turn: Turn): void {
    (parameter as { parameter: ParameterInfo }).parameter = { ...parameter.parameter!, turn };
  }

  #tensorId(name: string): number {
    const tensorId = parameterId(name);
    const other = this.#parameterNames.get(tensorId) ?? name;
    if (other !== name)
      throw compactError(
        'ERR_COMPACT_ARGUMENT',
        `the parameters ${other} and ${name} would share their seeds`,
        {
          op: name,
          expected: 'names that parameterId tells apart',
          received: `${tensorId} for both`,
          remedy: 'Rename one of them',
        },
      );
    this.#parameterNames.set(tensorId, name);
    return tensorId;
  }

  /** Any other tensor that outlives a run: moments, gradients of a window, constant tables. */
  state(name: string, shape: readonly number[], dtype: DType, kind: ValueKind): Value {
    return this.#persistentValue({ name, shape, dtype, kind }, undefined);
  }

  /**
   * A tensor that outlives a run, until an entry is run that does not name such tensors: what reading a text leaves for
   * the next token. Its first contents are undefined.
   */
  session(name: string, shape: readonly number[], dtype: DType, kind: ValueKind): Value {
    return this.#persistentValue({ name, shape, dtype, kind }, undefined, true);
  }

  /**
   * Adds one call of an op; pure calls that were made before return their first outputs.
   * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_TYPE, ERR_COMPACT_SHAPE for operands that the op's signature forbids
   */
  apply(
    definition: OpDefinition,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: readonly OutputSpec[],
  ): readonly Value[] {
    for (const input of inputs) {
      if (input !== undefined && input.graph !== this)
        throw compactError(
          'ERR_COMPACT_ARGUMENT',
          `${definition.name}: ${input.name} belongs to another graph`,
        );
    }
    checkOperands(definition, inputs, outputs);
    const key = definition.pure ? this.#key(definition, inputs, attributes, outputs) : undefined;
    const known = key === undefined ? undefined : this.#merged.get(key);
    if (known !== undefined) return known.outputs;
    const node = this.#node(definition, inputs, attributes);
    (node.outputs as Value[]).push(...outputs.map((output) => this.#value(output)));
    if (key !== undefined) this.#merged.set(key, node);
    return node.outputs;
  }

  /** Adds a call whose outputs are persistent values themselves: initialisation, a reset, a state made anew. */
  overwrite(
    definition: OpDefinition,
    targets: readonly Value[],
    attributes: Attributes = {},
    inputs: readonly Value[] = [],
  ): void {
    for (const target of targets) {
      if (target.graph !== this || !target.persistent)
        throw compactError(
          'ERR_COMPACT_ARGUMENT',
          `${definition.name}: ${target.name} is not persistent here`,
        );
    }
    checkOperands(definition, inputs, targets);
    (this.#node(definition, inputs, attributes).outputs as Value[]).push(...targets);
  }

  get persistentValues(): readonly Value[] {
    return [...this.#persistent.values()];
  }

  get parameters(): readonly Value[] {
    return this.persistentValues.filter((value) => value.parameter !== undefined);
  }

  #key(
    definition: OpDefinition,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: readonly OutputSpec[],
  ): string {
    return [
      definition.name,
      this.#phase,
      inputs.map((input) => input?.id ?? '-').join(),
      JSON.stringify(attributes),
      outputs.map(({ dtype, shape }) => `${dtype}[${shape.join()}]`).join(),
    ].join('|');
  }

  #node(definition: OpDefinition, inputs: readonly (Value | undefined)[], attributes: Attributes): Node {
    const node: Node = {
      id: this.nodes.length,
      op: definition.name,
      inputs: [...inputs],
      outputs: [],
      attributes,
      layer: this.#layer,
      phase: this.#phase,
    };
    this.nodes.push(node);
    return node;
  }

  #persistentValue(spec: OutputSpec, info: ParameterInfo | undefined, isSession = false): Value {
    const known = this.#persistent.get(spec.name);
    if (known !== undefined) return known;
    const value = this.#value(spec, true, info, undefined, isSession);
    this.#persistent.set(spec.name, value);
    return value;
  }

  #value(
    spec: OutputSpec,
    persistent = false,
    parameter?: ParameterInfo,
    rowsOf?: RowsOf,
    isSession = false,
  ): Value {
    if (spec.shape.length === 0 || spec.shape.some((size) => !Number.isSafeInteger(size) || size < 1))
      throw compactError('ERR_COMPACT_SHAPE', `${spec.name} has an impossible shape`, {
        expected: 'positive whole numbers',
        received: `[${spec.shape.join(', ')}]`,
      });
    if (!Number.isSafeInteger(numElements(spec.shape) * dtypeBytes[spec.dtype]))
      throw compactError('ERR_COMPACT_SHAPE', `${spec.name} is larger than any memory`, {
        expected: 'less than 2^53 bytes',
        received: `${spec.dtype} [${spec.shape.join(', ')}]`,
      });
    const value: Value = {
      graph: this,
      id: this.values.length,
      name: spec.name,
      shape: [...spec.shape],
      dtype: spec.dtype,
      kind: spec.kind ?? 'activation',
      layer: this.#layer,
      persistent,
      parameter,
      ...(isSession && { isSession }),
      ...(rowsOf && { rowsOf }),
    };
    this.values.push(value);
    return value;
  }
}
