import type { Value } from '../../graph/index.js';

/** How a method holds what forward makes and backward reads. */
export interface Saving {
  /** What backward rebuilds where the run says nothing of it: nothing, or what is cheap to rebuild. */
  readonly recompute: 'none' | 'cheap';
  /** The form in which a value that is kept is held; undefined, or absent: as it is. */
  codec?(value: Value): Codec | undefined;
}

/** A form in which a value is held between forward and backward. */
export interface Codec {
  /** Adds the nodes that encode a value; what it gives is what is held. */
  encode(value: Value): readonly Value[];
  /** Adds the nodes that make the value again, shaped as it was. */
  decode(encoded: readonly Value[], value: Value): Value;
}
