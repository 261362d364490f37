import type { Node } from './node.js';
import type { DType, Value } from './value.js';

/** What a gradient rule may ask and tell. */
export interface GradientContext {
  readonly node: Node;
  /** Gradient of each output; undefined where nothing depends on that output. */
  readonly outputGradients: readonly (Value | undefined)[];
  /** Whether the gradient of an input is wanted at all. */
  needs(inputIndex: number): boolean;
  /** Of the gradients of parameters; gradients of activations have the activation's dtype. */
  readonly gradientDtype: DType;
  /** The gradient of a weight of a linear layer, as the training method defines it (dense or compressed). */
  weightGradient(linear: LinearLayer): Value;
  /**
   * Hands over what later uses of an input have added to its gradient so far, if anything; the rule's result then
   * includes it. For ops that add it at no cost (a norm and the residual branch around it).
   */
  takeGathered(inputIndex: number): Value | undefined;
}

/** y = input weight, seen from backward. */
export interface LinearLayer {
  /** (tokens, in_features). */
  readonly input: Value;
  /** (tokens, out_features). */
  readonly outputGradient: Value;
  /** (in_features, out_features). */
  readonly weight: Value;
}

/** Everything the compiler knows about an op beyond its name; one file per op under ops/. */
export interface OpDefinition {
  readonly name: string;
  /** Whether rebuilding its outputs in backward is element-wise work ('cheap') or a product ('costly'). */
  readonly recompute: 'cheap' | 'costly';
  /** Equal calls give equal results and may be merged; false for in-place updates. */
  readonly pure: boolean;
  /** Outputs that must be the memory of an input: [output, input]. */
  readonly updates?: readonly (readonly [number, number])[];
  /** Of `updates`, those of a single element: [output, the attribute that is its number]. */
  readonly elementUpdates?: readonly (readonly [number, string])[];
  /** Outputs that may take over the memory of an input that dies here: [output, input]. */
  readonly inPlace?: readonly (readonly [number, number])[];
  /** Outputs that can add into an optional accumulator input: [output, input]; such ops have the attribute `accumulate`. */
  readonly accumulators?: readonly (readonly [number, number])[];
  /** Floating-point operations of one call. */
  flops(node: Node): number;
  /** Gradients of the inputs, in order; undefined for inputs without one. Absent: the op has no gradient. */
  gradient?(context: GradientContext): readonly (Value | undefined)[];
  /**
   * For losses: a node that computes loss and gradients in one go, replacing the forward node.
   * Returns the new loss and the input gradients.
   */
  fusedLossGradient?(context: Omit<GradientContext, 'outputGradients'>): {
    readonly loss: Value;
    readonly inputGradients: readonly (Value | undefined)[];
  };
}
