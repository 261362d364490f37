import { defineOp } from '../define-op.js';
import type { Graph, OutputSpec } from '../graph.js';
import type { Attribute, Attributes } from '../node.js';
import { numElements, type Value } from '../value.js';
import type { OpDefinition } from '../op.js';
import { splitSeed } from '../seed.js';
import { requireArgument } from './checks.js';

/** What the numbers are made from; their mean is 0. */
export interface RandomNormalOptions {
  readonly seed: number;
  readonly tensorId: number;
  readonly standardDeviation: number;
  /** Which of several drawings it is, in the place of the seed's upper word. Default: that word. */
  readonly drawing?: Attribute;
}

/** A new tensor of normal numbers: a pure function of seed, tensorId and drawing. */
export function randomNormal(graph: Graph, output: OutputSpec, options: RandomNormalOptions): Value {
  return graph.apply(randomNormalOp, [], attributesOf(options), [output])[0]!;
}

/** Fills a persistent tensor with the same. */
export function randomNormalPersistent(target: Value, options: RandomNormalOptions): void {
  target.graph.overwrite(randomNormalOp, [target], attributesOf(options));
}

function attributesOf({ seed, tensorId, standardDeviation, drawing }: RandomNormalOptions): Attributes {
  const { seedLow, seedHigh } = splitSeed(seed);
  requireArgument(
    'randomNormal',
    'standardDeviation',
    standardDeviation,
    standardDeviation >= 0,
    'not negative',
  );
  return { seedLow, seedHigh: drawing ?? seedHigh, tensorId, standardDeviation };
}

export const randomNormalOp: OpDefinition = defineOp({
  name: 'randomNormal',
  family: 'projection',
  computes:
    "`standardDeviation * z`, `z` the fp32 value before rounding of the projection's inverse CDF, " +
    'element `e` = half `e mod 8` of counter `(e/8 low 32 bits, e/8 high, tensorId, 0xffffffff)`',
  operands: '-> y:T[#e]',
  attributes: 'seedLow seedHigh tensorId standardDeviation',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  flops: ({ outputs }) => 6 * numElements(outputs[0]!.shape),
});
