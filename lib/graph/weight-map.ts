/** How one parameter stands in a file of weights, for reading and for writing. */
export interface StoredParameter {
  /** Name of the parameter in the graph. */
  readonly parameter: string;
  /** Name of the tensor in the file. */
  readonly tensor: string;
  /** 'transposed': (out_features, in_features) in the file, (in_features, out_features) in the graph. */
  readonly layout: 'same' | 'transposed';
  /**
   * Where the tensor holds several parameters, side by side by their output features: the first of its features that is
   * this one's, and how many it has. Every feature belongs to one parameter; all of them have one layout.
   */
  readonly part?: { readonly first: number; readonly of: number };
  /** Names of tensors tied to this one: a file may hold them too, with the same content, but need not. */
  readonly tiedTensors?: readonly string[];
  /** Of a head that weights to start from may come without: then it starts from its initializer. */
  readonly isOwnHead?: boolean;
}

/** Every parameter of a model, each once. */
export type WeightMap = readonly StoredParameter[];
