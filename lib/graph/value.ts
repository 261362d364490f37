import type { Graph } from './graph.js';

/** Types of elements: two of floating point, three of whole numbers. */
export type DType = 'f32' | 'bf16' | 'i32' | 'u8' | 'i8';

/** Bytes of one element. */
export const dtypeBytes: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4, u8: 1, i8: 1 };

/** The ledger's categories; every byte of a plan belongs to exactly one. */
export const valueKinds = [
  'parameter',
  'optimizerState',
  'gradient',
  'activation',
  'compressedActivation',
  'keyValueCache',
  'logits',
  'input',
  'output',
  'workspace',
  'projectionScratch',
] as const;
/** One of `valueKinds`. */
export type ValueKind = (typeof valueKinds)[number];

/** What a parameter is for; methods choose their targets by it. */
export type ParameterRole =
  | 'query'
  | 'key'
  | 'value'
  | 'output'
  | 'gate'
  | 'up'
  | 'down'
  | 'embedding'
  | 'head'
  | 'norm'
  | 'bias'
  | 'linear';

/** How a parameter starts. */
export type Initializer =
  | { readonly type: 'normal'; readonly standardDeviation: number }
  | { readonly type: 'constant'; readonly value: number };

/** What a model says of a parameter. */
export interface ParameterOptions {
  readonly role: ParameterRole;
  readonly initializer: Initializer;
  /**
   * Name of the first of the weights that multiply the same input (query, for key and value); absent for that one and
   * for weights that share their input with nobody. Methods can share by it what they make of that input.
   */
  readonly sharesInputWith?: string;
  /** Outputs of each head, of weights whose outputs stand in heads that methods may tell apart: query and key. */
  readonly headSize?: number;
  /** Present: a factor of an adapter, of the weight with this role. */
  readonly adapts?: ParameterRole;
  /** Present: the parameter holds codes, of numbers that start as `initializer` says. */
  readonly codesOf?: CodedNumbers;
}

/** The numbers that a parameter in codes stands for. */
export interface CodedNumbers {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Of the parameter that the numbers would be. */
  readonly tensorId: number;
  /** Adds the node that writes the codes, and what belongs to them, from numbers of this shape. */
  encode(numbers: Value, codes: Value): void;
}

/** What the methods and the initialisation have to know of a parameter. */
export interface ParameterInfo extends ParameterOptions {
  /** Number of this tensor in seeded streams (projection, initialisation, rounding): `parameterId` of its name. */
  readonly tensorId: number;
  /** Present: a method trains it in turns with others. */
  readonly turn?: Turn;
}

/** When a parameter is trained that has its states in turns with others. */
export interface Turn {
  /** Parameters of one number are trained together. */
  readonly number: number;
  /** The name under which whoever has its turn has states, and a gradient that waits for its update. */
  readonly statesAs: string;
}

/** One tensor of a graph: written once by its producer, or persistent (parameters, states, tables). */
export interface Value {
  readonly graph: Graph;
  readonly id: number;
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly kind: ValueKind;
  /** The layer that made it, e.g. `layers.3.attention`; any byte at the peak can be named by it. */
  readonly layer: string;
  /** Outlives a run: has a place of its own, found again by name in every entry. */
  readonly persistent: boolean;
  /**
   * Present: persistent only as long as no entry is run but those that name such values. They stand in the arena, so
   * they take no memory from the other entries.
   */
  readonly isSession?: true;
  /** `Graph.takeTurns` adds to it; nothing else changes. */
  readonly parameter: ParameterInfo | undefined;
  /** Present: it has no place of its own, but is these rows of a persistent value. */
  readonly rowsOf?: RowsOf;
}

/** Rows of a persistent value, as many as the value that names them has. */
export interface RowsOf {
  readonly value: Value;
  readonly first: number;
}

/** The name under which a parameter has states, and a gradient that waits for its update: its own, but of those in turns. */
export const nameOfStates = ({ name, parameter }: Pick<Value, 'name' | 'parameter'>): string =>
  parameter?.turn?.statesAs ?? name;

/** Elements of a tensor: the product of its sizes, 1 for none. */
export const numElements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Whether two values have elements in common: the same one, or rows of one of which some are the same. */
export function overlap(a: Value, b: Value): boolean {
  if (a === b) return true;
  const [ofA, ofB] = [a.rowsOf ?? { value: a, first: 0 }, b.rowsOf ?? { value: b, first: 0 }];
  return (
    ofA.value === ofB.value && ofA.first < ofB.first + b.shape[0]! && ofB.first < ofA.first + a.shape[0]!
  );
}

/** Bytes of a tensor, without padding. */
export const valueBytes = (value: Pick<Value, 'shape' | 'dtype'>): number =>
  numElements(value.shape) * dtypeBytes[value.dtype];
