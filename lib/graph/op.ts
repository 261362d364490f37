import type { Node } from './node.js';
import type { Quantized } from './ops/quantize.js';
import type { Nf4Matrix } from './ops/quantize-nf4.js';
import type { Signature } from './signature.js';
import type { DType, Value, ValueKind } from './value.js';

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

/** Calls of the same meaning whose weight is in codes; undefined for calls of a kind that has none. */
export interface Decoding {
  /** Number of the input that is the weight. */
  readonly weight: number;
  int8(node: Node, weight: Quantized, groupSize: number): Value | undefined;
  /** Absent: there is no such op. */
  nf4?(node: Node, weight: Nf4Matrix): Value | undefined;
}

/** A step function of four values that is near a slope. */
export interface SlopeSteps {
  /** Where it steps, rising. */
  readonly thresholds: readonly [number, number, number];
  /** Behind each threshold; before the first it is zero. */
  readonly slopes: readonly [number, number, number];
}

/** The gradient of a weight in parts, beside what else the op that makes it computes. */
export interface GradientByRows {
  /** In the place of the outputs of the op before the gradient, in their order. */
  readonly others: readonly Value[];
  /** Builds rows [first, first + count) of the gradient. */
  rows(first: number, count: number): Value;
}

/** What siblings of one op, layer and phase have in common. */
export type SiblingKey = readonly unknown[];

/** The families of ops: folders of their kernels, and tables of docs/operations.md. */
export const opFamilies = [
  'gemm',
  'projection',
  'attention',
  'layers',
  'elementwise',
  'losses',
  'optimizers',
  'plumbing',
  'quantization',
] as const;
/** One of `opFamilies`. */
export type OpFamily = (typeof opFamilies)[number];

/** Everything there is to know of an op beside its kernels; one file per op under ops/. */
export interface OpFacts {
  readonly name: string;
  readonly family: OpFamily;
  /** What it computes, a row of docs/operations.md: Markdown without full stop. */
  readonly computes: string;
  /** Inputs and outputs, e.g. `x:T[n,h] weight:T[h] -> y:T[n,h]`; lib/graph/signature.ts has the grammar. */
  readonly operands: string;
  /** Attributes with their defaults, e.g. `transposeA=0 alpha=1`. Default: none. */
  readonly attributes?: string;
  /**
   * Outputs that may take over the memory of an input that dies here, e.g. `y=gate y=up`: of exactly its bytes, beyond
   * the updates and accumulators of `operands`. Default: none.
   */
  readonly mayShare?: string;
  /** Attributes that tell one tensor from another, on which no size of scratch depends. Default: none. */
  readonly identifiedBy?: string;
  /** Whether rebuilding its outputs in backward is element-wise work ('cheap') or a product ('costly'). */
  readonly recompute: 'cheap' | 'costly';
  /** Equal calls give equal results and may be merged; false for in-place updates. */
  readonly pure: boolean;
  /** Category of its kernel's scratch. Default 'workspace'. */
  readonly workspaceKind?: ValueKind;
  /** Two ops of which one call gives the bits: the second reads the first output of the first as its first input. */
  readonly fusionOf?: readonly [OpDefinition, OpDefinition];
  /** Floating-point operations of one call. */
  flops(node: Node): number;
  /**
   * Calls of equal keys, in one layer and phase, can run as one where a target groups the op; undefined for a call that
   * stays alone, as all do by default.
   * @param keyOfReader of the first node with a key that reads a value
   */
  siblingKey?(node: Node, keyOfReader: (value: Value) => SiblingKey | undefined): SiblingKey | undefined;
  /**
   * Builds a call again such that it also writes the sum of the squares of its first output to squares[index]; returns
   * the new first output.
   */
  withSquares?(node: Node, squares: Value, index: number): Value;
  /**
   * For ops whose last output is the gradient of a weight: builds what takes the place of a call, so that the gradient
   * can be made by rows. Undefined for a call that adds to a gradient; absent: it makes gradients whole.
   */
  gradientByRows?(node: Node): GradientByRows | undefined;
  /** Of a function of one number: steps near its slope, for methods that do without its input. Default: none. */
  readonly slopeSteps?: SlopeSteps;
  /** How it reads a weight in codes. Default: it reads numbers alone. */
  readonly decoding?: Decoding;
  /**
   * The gradient of its first output is taken for that of its first input as it is (straight-through: Bengio et al. 2013,
   * arXiv 1308.3432); the op needs no rule then.
   */
  readonly passesGradient?: true;
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

/** The facts of an op, and what follows from its `operands`. */
export interface OpDefinition extends OpFacts {
  readonly signature: Signature;
  /** Outputs that must be the memory of an input: [output, input]. */
  readonly updates: readonly (readonly [number, number])[];
  /** Of `updates`, those of a single element: [output, the attribute that is its number]. */
  readonly elementUpdates: readonly (readonly [number, string])[];
  /** Outputs that can add into an optional accumulator input: [output, input]; such ops have the attribute `accumulate`. */
  readonly accumulators: readonly (readonly [number, number])[];
  /** Outputs that may take over the memory of an input that dies here: [output, input]. */
  readonly inPlace: readonly (readonly [number, number])[];
  /** Attributes that tell one tensor or element from another: calls that differ in them alone need the same scratch. */
  readonly identity: readonly string[];
}
