/**
 * Scalings of rotary positions, by which models read longer sequences than they were first trained with: the options of
 * each kind, and what each makes of the frequencies.
 *
 * linear: Chen et al., "Extending Context Window of Large Language Models via Positional Interpolation", 2023.
 * dynamic: NTK-aware scaling of the base (bloc97 and emozilla, 2023).
 * yarn: Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models", 2023, sections 3.1 to 3.4.
 * llama3: Llama Team, "The Llama 3 Herd of Models", 2024, as published with Llama 3.1.
 */
import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { flag, numberAbove, numberFrom, optional, wholeNumber, type OptionTable } from '../../options.js';

/** Every position divided by `factor`. */
export interface LinearRopeScaling {
  readonly type: 'linear';
  /** From 1. */
  readonly factor: number;
}

/**
 * A larger base for sequences beyond `maxPositionEmbeddings`, as long as those that are trained; up to `factor` times as
 * many positions.
 */
export interface DynamicRopeScaling {
  readonly type: 'dynamic';
  /** From 1. */
  readonly factor: number;
}

/** Long waves slowed down by `factor`, short ones left, and a smooth passage between them. */
export interface Llama3RopeScaling {
  readonly type: 'llama3';
  /** From 1. */
  readonly factor: number;
  /** Waves longer than the original positions divided by this are slowed down. */
  readonly lowFreqFactor: number;
  /** Waves shorter than the original positions divided by this are left. */
  readonly highFreqFactor: number;
  /** Positions of the first training. Default: `maxPositionEmbeddings`. */
  readonly originalMaxPositionEmbeddings?: number;
}

/** Waves slowed down by how often they turn within the original positions; cosines and sines times a factor. */
export interface YarnRopeScaling {
  readonly type: 'yarn';
  /** From 1. */
  readonly factor: number;
  /** Positions of the first training. Default: `maxPositionEmbeddings`. */
  readonly originalMaxPositionEmbeddings?: number;
  /** Of cosines and sines. Default 0.1 ln(factor) + 1, or as `mscale` and `mscaleAllDim` say. */
  readonly attentionFactor?: number;
  /** Waves that turn more often are left. Default 32. */
  readonly betaFast?: number;
  /** Waves that turn less often are slowed down by the whole factor. Default 1. */
  readonly betaSlow?: number;
  /** With `mscaleAllDim`: the factor is (0.1 mscale ln(factor) + 1) / (0.1 mscaleAllDim ln(factor) + 1). */
  readonly mscale?: number;
  readonly mscaleAllDim?: number;
  /** Whole pairs bound the passage. Default true. */
  readonly truncate?: boolean;
}

/** A scaling of rotary positions. */
export type RopeScaling = LinearRopeScaling | DynamicRopeScaling | Llama3RopeScaling | YarnRopeScaling;

const factor = numberFrom(1);
const positions = optional(wholeNumber(1, 2 ** 31 - 1));

/** What each kind has beside its `type`. */
export const ropeScalingTables = {
  linear: { factor },
  dynamic: { factor },
  llama3: {
    factor,
    lowFreqFactor: numberAbove(0),
    highFreqFactor: numberAbove(0),
    originalMaxPositionEmbeddings: positions,
  },
  yarn: {
    factor,
    originalMaxPositionEmbeddings: positions,
    attentionFactor: optional(numberAbove(0)),
    betaFast: optional(numberAbove(0)),
    betaSlow: optional(numberAbove(0)),
    mscale: optional(numberAbove(0)),
    mscaleAllDim: optional(numberAbove(0)),
    truncate: optional(flag),
  },
} satisfies {
  readonly [T in RopeScaling['type']]: OptionTable<Omit<Extract<RopeScaling, { type: T }>, 'type'>>;
};

const kinds = Object.keys(ropeScalingTables).join(', ');
const expected = `a mapping with type (one of ${kinds}) and what a scaling of this type needs`;

const { linear, dynamic, llama3, yarn } = ropeScalingTables;

/** An option that is a scaling. */
export const ropeScaling = v.variant(
  'type',
  [
    v.strictObject({ type: v.literal('linear'), ...linear }, expected),
    v.strictObject({ type: v.literal('dynamic'), ...dynamic }, expected),
    v.strictObject({ type: v.literal('llama3'), ...llama3 }, expected),
    v.strictObject({ type: v.literal('yarn'), ...yarn }, expected),
  ],
  expected,
);

/**
 * What a scaling's options say of each other.
 * @throws ERR_COMPACT_CONFIG_VALUE
 */
export function checkRopeScaling(scaling: RopeScaling | undefined): void {
  if (scaling?.type === 'llama3')
    requireAbove('highFreqFactor', scaling.highFreqFactor, scaling.lowFreqFactor, 'lowFreqFactor');
  if (scaling?.type === 'yarn') {
    const { betaFast = yarnBetas.fast, betaSlow = yarnBetas.slow } = scaling;
    requireAbove('betaFast', betaFast, betaSlow, 'betaSlow');
  }
}

function requireAbove(key: string, value: number, bound: number, other: string): void {
  if (value > bound) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `ropeScaling.${key} is not possible`, {
    op: `ropeScaling.${key}`,
    expected: `more than ${other}, ${bound}`,
    received: String(value),
  });
}

const yarnBetas = { fast: 32, slow: 1 } as const;

/** What rotary positions depend on. */
export interface Rope {
  readonly theta: number;
  /** Positions of the model, before any scaling that follows the length of sequences. */
  readonly maxPositionEmbeddings: number;
  readonly scaling: RopeScaling | undefined;
}

/** The longest sequence that rotary positions are defined for. */
export const longestOf = ({ maxPositionEmbeddings, scaling }: Rope): number =>
  scaling?.type === 'dynamic' ? Math.floor(maxPositionEmbeddings * scaling.factor) : maxPositionEmbeddings;

/** How fast each pair of a head turns, in radians a position, and what cosines and sines are multiplied by. */
export interface Frequencies {
  readonly perPair: readonly number[];
  readonly amplitude: number;
}

export function frequenciesOf(rope: Rope, headSize: number, sequenceLength: number): Frequencies {
  const { theta, maxPositionEmbeddings, scaling } = rope;
  const withBase = (base: number): number[] =>
    Array.from({ length: headSize / 2 }, (_, pair) => base ** ((-2 * pair) / headSize));
  const plain = withBase(theta);
  if (scaling === undefined) return { perPair: plain, amplitude: 1 };
  if (scaling.type === 'linear')
    return { perPair: plain.map((frequency) => frequency / scaling.factor), amplitude: 1 };
  if (scaling.type === 'llama3')
    return { perPair: plain.map((frequency) => slowedLlama3(frequency, scaling, rope)), amplitude: 1 };
  if (scaling.type === 'yarn')
    return { perPair: slowedYarn(plain, scaling, rope, headSize), amplitude: yarnAmplitude(scaling) };
  const length = Math.max(sequenceLength, maxPositionEmbeddings);
  const growth = (scaling.factor * length) / maxPositionEmbeddings - (scaling.factor - 1);
  return { perPair: withBase(theta * growth ** (headSize / (headSize - 2))), amplitude: 1 };
}

function slowedLlama3(
  frequency: number,
  { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings }: Llama3RopeScaling,
  { maxPositionEmbeddings }: Rope,
): number {
  // Turns within the positions of the first training.
  const turns = ((originalMaxPositionEmbeddings ?? maxPositionEmbeddings) * frequency) / (2 * Math.PI);
  const kept = clamp((turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
  return (1 - kept) * (frequency / factor) + kept * frequency;
}

function slowedYarn(
  plain: readonly number[],
  { factor, originalMaxPositionEmbeddings, ...scaling }: YarnRopeScaling,
  { theta, maxPositionEmbeddings }: Rope,
  headSize: number,
): number[] {
  const { betaFast = yarnBetas.fast, betaSlow = yarnBetas.slow, truncate = true } = scaling;
  const original = originalMaxPositionEmbeddings ?? maxPositionEmbeddings;
  /** The pair, not a whole number, that turns so often within the positions of the first training. */
  const pairTurning = (turns: number): number =>
    (headSize * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [pairTurning(betaFast), pairTurning(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, headSize - 1);
  return plain.map((frequency, pair) => {
    // The thousandth keeps the slope finite where both bounds are one pair.
    const slowed = clamp((pair - low) / (high === low ? 0.001 : high - low));
    return slowed * (frequency / factor) + (1 - slowed) * frequency;
  });
}

function yarnAmplitude({ factor, attentionFactor, mscale, mscaleAllDim }: YarnRopeScaling): number {
  const growth = (weight: number): number => 0.1 * weight * Math.log(factor) + 1;
  if (attentionFactor !== undefined) return attentionFactor;
  return mscale === undefined || mscaleAllDim === undefined
    ? growth(1)
    : growth(mscale) / growth(mscaleAllDim);
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));
