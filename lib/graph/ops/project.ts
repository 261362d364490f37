// A random projection P = Phat / sqrt(rank), (in_features, rank), entries of unit variance before the factor. It is a
// pure function of seed, tensorId and epoch and is never a value of the graph: the ops that use it generate it.
import { compactError } from '../../errors.js';
import { shown } from '../../options.js';
import { defineOp } from '../define-op.js';
import type { OutputSpec } from '../graph.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import { splitSeed } from '../seed.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireArgument, requireMatrix, requireShape } from './checks.js';
import { requireGroups, type Quantized } from './quantize.js';

/** Laws of the entries, in the order of their numbers in plans. `identity` gives P = I when the rank is the width. */
export const distributions = ['gaussian', 'rademacher', 'identity'] as const;
/** One of `distributions`. */
export type Distribution = (typeof distributions)[number];

/** What a projection is made from. */
export interface Projection {
  /** Whole number from 0 to 2^53 - 1. */
  readonly seed: number;
  /** Number of the projection below the seed: equal numbers give equal projections. */
  readonly tensorId: number;
  /** Columns of P, from 1 to in_features. */
  readonly rank: number;
  readonly distribution: Distribution;
}

/** What the result of a projection is called and counted as. */
export type ProjectedInfo = Pick<OutputSpec, 'name' | 'kind'>;

/** z = x P: (tokens, in_features) to (tokens, rank). */
export function project(
  x: Value,
  projection: Projection,
  epoch: Attribute,
  info: ProjectedInfo = { name: 'compressedInput', kind: 'compressedActivation' },
): Value {
  const [tokens, width] = requireMatrix('project', x);
  requireRank('project', x, width, projection.rank);
  const attributes = { ...keyAttributes(projection), epoch };
  const [z] = callOp(projectOp, [x], attributes, { z: { ...info, shape: [tokens, projection.rank] } });
  return z!;
}

/** z = P^T x: (rows, columns) to (rank, columns). */
export function projectLeft(x: Value, projection: Projection, epoch: Attribute, info: ProjectedInfo): Value {
  const [rows, columns] = requireMatrix('projectLeft', x);
  requireRank('projectLeft', x, rows, projection.rank);
  const attributes = { ...keyAttributes(projection), epoch };
  const [z] = callOp(projectLeftOp, [x], attributes, { z: { ...info, shape: [projection.rank, columns] } });
  return z!;
}

/** Constants and scalars of `projectBackUpdate`. */
export interface ProjectBackUpdateOptions {
  /** Number of the projection, which changes at a refresh. */
  readonly epoch: Attribute;
  readonly learningRate: Attribute;
  /** Multiplies the learning rate, but not the decay. Default 1. */
  readonly updateScale?: number;
  /** Decoupled. Default 0. */
  readonly weightDecay?: number;
  /** Present: round bf16 weights stochastically, from this seed and the step. */
  readonly stochasticRounding?: { readonly seed: number; readonly step: Attribute };
}

/**
 * weight = weight (1 - learningRate weightDecay) - learningRate updateScale P direction, in place:
 * weight (in_features, out_features), direction (rank, out_features).
 */
export function projectBackUpdate(
  weight: Value,
  direction: Value,
  projection: Projection,
  options: ProjectBackUpdateOptions,
): Value {
  const [width, columns] = requireMatrix('projectBackUpdate', weight);
  requireRank('projectBackUpdate', weight, width, projection.rank);
  requireShape('projectBackUpdate', direction, [projection.rank, columns]);
  const { epoch, learningRate, updateScale = 1, weightDecay = 0, stochasticRounding } = options;
  const attributes: Attributes = {
    ...keyAttributes(projection),
    epoch,
    learningRate,
    updateScale,
    weightDecay,
    ...roundingAttributes(stochasticRounding),
  };
  const [updated] = callOp(projectBackUpdateOp, [weight, direction], attributes);
  return updated!;
}

/** The same of a weight in int8 (`quantize`), codes and scales in place, always rounded stochastically. */
export function projectBackUpdateInt8(
  { codes, scales }: Quantized,
  groupSize: number,
  direction: Value,
  projection: Projection,
  options: Omit<ProjectBackUpdateOptions, 'stochasticRounding'> &
    Required<Pick<ProjectBackUpdateOptions, 'stochasticRounding'>>,
): Quantized {
  requireGroups('projectBackUpdateInt8', { codes, scales }, groupSize);
  const [width, columns] = codes.shape as [number, number];
  requireRank('projectBackUpdateInt8', codes, width, projection.rank);
  requireShape('projectBackUpdateInt8', direction, [projection.rank, columns]);
  const { epoch, learningRate, updateScale = 1, weightDecay = 0, stochasticRounding } = options;
  const attributes: Attributes = {
    ...keyAttributes(projection),
    epoch,
    groupSize,
    learningRate,
    updateScale,
    weightDecay,
    roundingSeed: splitSeed(stochasticRounding.seed).seedLow,
    step: stochasticRounding.step,
  };
  const [newCodes, newScales] = callOp(projectBackUpdateInt8Op, [codes, scales, direction], attributes);
  return { codes: newCodes!, scales: newScales! };
}

/** The two epochs of a transfer, and the height of the weight. */
export interface ProjectTransferOptions {
  /** in_features of the weight whose moment it is: rows of P. */
  readonly rows: number;
  readonly oldEpoch: Attribute;
  readonly newEpoch: Attribute;
}

/** moment = P_new^T P_old moment, in place: carries a first moment (rank, out_features) to the basis of a new epoch. */
export function projectTransfer(
  moment: Value,
  projection: Projection,
  options: ProjectTransferOptions,
): Value {
  const [rank] = requireMatrix('projectTransfer', moment);
  requireArgument('projectTransfer', 'rank', rank, rank === projection.rank, `${projection.rank}`);
  const [moved] = callOp(projectTransferOp, [moment], { ...keyAttributes(projection), ...options });
  return moved!;
}

/** Attributes of ops that may round weights stochastically. */
export function roundingAttributes(rounding: ProjectBackUpdateOptions['stochasticRounding']): Attributes {
  if (rounding === undefined) return { stochasticRounding: 0 };
  return { stochasticRounding: 1, roundingSeed: splitSeed(rounding.seed).seedLow, step: rounding.step };
}

function keyAttributes({ seed, tensorId, distribution }: Projection) {
  return { ...splitSeed(seed), tensorId, distribution: distributions.indexOf(distribution) };
}

function requireRank(op: string, value: Value, width: number, rank: number): void {
  if (!Number.isSafeInteger(rank) || rank < 1 || rank > width)
    throw compactError('ERR_COMPACT_RANK', `${op}: the rank does not fit ${value.name}`, {
      op,
      expected: `a whole number from 1 to ${width}`,
      received: shown(rank),
    });
}

export const projectOp: OpDefinition = defineOp({
  name: 'project',
  family: 'projection',
  computes:
    '`z = x P`, `P = Phat / sqrt(r)`, `Phat` (k,r) from `(seed, tensorId, epoch)`; never stored whole. ' +
    'The factor `1/sqrt(r)` is applied in fp32 after the sum',
  operands: 'x:T[n,k] -> z:T[n,r]',
  attributes: 'seedLow seedHigh tensorId epoch distribution=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'projectionScratch',
  flops: (node) => 2 * firstInputElements(node) * node.outputs[0]!.shape[1]!,
});

export const projectLeftOp: OpDefinition = defineOp({
  name: 'projectLeft',
  family: 'projection',
  computes: '`z = P^T x` with `P` (n,r) of `project`',
  operands: 'x:T[n,m] -> z:T[r,m]',
  attributes: 'seedLow seedHigh tensorId epoch distribution=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'projectionScratch',
  flops: (node) => 2 * firstInputElements(node) * node.outputs[0]!.shape[0]!,
});

export const projectBackUpdateOp: OpDefinition = defineOp({
  name: 'projectBackUpdate',
  family: 'projection',
  computes:
    '`w = w (1 - learningRate*weightDecay) - learningRate*updateScale*(P direction)`, `P` (n,r) regenerated',
  operands: 'weight:W[n,m] direction:D[r,m] -> =weight',
  attributes:
    'seedLow seedHigh tensorId epoch distribution=0 learningRate updateScale=1 weightDecay=0 ' +
    'stochasticRounding=0 roundingSeed=0 step=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  workspaceKind: 'projectionScratch',
  siblingKey({ inputs: [weight, direction], attributes }) {
    const { seedLow, seedHigh, tensorId, epoch, distribution } = attributes;
    return [seedLow, seedHigh, tensorId, epoch, distribution, weight!.shape[0], direction!.shape[0]];
  },
  flops: (node) => 2 * firstInputElements(node) * node.inputs[1]!.shape[0]!,
});

export const projectBackUpdateInt8Op: OpDefinition = defineOp({
  name: 'projectBackUpdateInt8',
  family: 'projection',
  computes:
    'the same of `w = code * scale`, with scales and codes as `weightUpdateInt8` makes them along `P direction`, which ' +
    'exists for some rows at a time',
  operands: 'codes:i8[n,m] scales:f32[g] direction:D[r,m] -> =codes =scales',
  attributes:
    'groupSize seedLow seedHigh tensorId epoch distribution=0 learningRate updateScale=1 weightDecay=0 ' +
    'roundingSeed=0 step',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  workspaceKind: 'projectionScratch',
  flops: (node) => 2 * firstInputElements(node) * node.inputs[2]!.shape[0]!,
});

export const projectTransferOp: OpDefinition = defineOp({
  name: 'projectTransfer',
  family: 'projection',
  computes:
    '`moment = P_new^T P_old moment`, both (rows,r): carries a first moment to the basis of a new epoch',
  operands: 'moment:S[r,m] -> =moment',
  attributes: 'rows seedLow seedHigh tensorId oldEpoch newEpoch distribution=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  workspaceKind: 'projectionScratch',
  // Two products of (rows, rank) with (rank, out_features).
  flops: (node) => 4 * firstInputElements(node) * (node.attributes.rows as number),
});
