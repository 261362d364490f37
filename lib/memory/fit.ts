import { checkCompileOptions, compile } from '../compile/compile.js';
import type { CompileOptions } from '../compile/index.js';
import { maxTokens } from '../compile/options.js';
import { compact, type StateFormat } from '../methods/index.js';
import { checkValue, numberAbove } from '../options.js';

/** The largest micro-batch that fits into a given memory. */
export interface LargestBatch {
  /** Sequences of one micro-batch. */
  readonly batchSize: number;
  readonly peakBytes: number;
}

/**
 * The largest micro-batch whose peak fits, undefined when not even one example does. The peak grows almost linearly
 * with the batch, so a straight line through two known points lands next to the answer; every guess is planned in full.
 * @throws ERR_COMPACT_ARGUMENT (memoryBytes), and what compile() throws
 */
export function largestBatch(given: CompileOptions, memoryBytes: number): LargestBatch | undefined {
  const options = checkCompileOptions(given);
  checkMemory(memoryBytes);
  const sequences = sequencesOf(options);
  const planned = (examples: number) => compile({ ...options, batchSize: examples * sequences });
  const single = planned(1);
  if (single.peakBytes > memoryBytes) return undefined;
  let fitting = { examples: 1, peakBytes: single.peakBytes };
  let previous = { examples: 0, peakBytes: single.persistentBytes };
  let tooLarge = Math.floor(maxTokens / options.sequenceLength / sequences) + 1;
  while (tooLarge - fitting.examples > 1) {
    const slope = (fitting.peakBytes - previous.peakBytes) / (fitting.examples - previous.examples);
    const guess = fitting.examples + Math.floor((memoryBytes - fitting.peakBytes) / Math.max(slope, 1));
    // Between what is known to fit and what is known not to; a leap is bounded in case the first points mislead.
    const furthest = Math.min(tooLarge - 1, 64 * fitting.examples);
    const examples = Math.max(fitting.examples + 1, Math.min(guess, furthest));
    const { peakBytes } = planned(examples);
    if (peakBytes > memoryBytes) tooLarge = examples;
    else [previous, fitting] = [fitting, { examples, peakBytes }];
  }
  return { batchSize: fitting.examples * sequences, peakBytes: fitting.peakBytes };
}

/** A change of options, and what it would need. */
export interface Remedy {
  /**
   * The options to change, in the words of options and recipes. A smaller batchSize comes with the
   * gradientAccumulationSteps that make up for it, as a multiple of what they are.
   */
  readonly change: Readonly<Record<string, string | number>>;
  readonly peakBytes: number;
  readonly fits: boolean;
}

/**
 * Up to three changes that would help a run that does not fit: those that fit come first, from the cheapest in speed
 * and quality to the dearest; where fewer fit, the smallest of the others follow.
 * @throws ERR_COMPACT_ARGUMENT (memoryBytes), and what compile() throws
 */
export function remedies(given: CompileOptions, memoryBytes: number): readonly Remedy[] {
  const options = checkCompileOptions(given);
  checkMemory(memoryBytes);
  const current = peakOf(options);
  const found = changes(options, memoryBytes)
    .map(({ change, changed }): Remedy => {
      const peakBytes = peakOf({ ...options, ...changed });
      return { change, peakBytes, fits: peakBytes <= memoryBytes };
    })
    .filter(({ peakBytes }) => peakBytes < current);
  const others = found.filter(({ fits }) => !fits).toSorted((a, b) => a.peakBytes - b.peakBytes);
  return [...found.filter(({ fits }) => fits), ...others].slice(0, 3);
}

interface Change {
  readonly change: Remedy['change'];
  readonly changed: Partial<CompileOptions>;
}

function changes(options: CompileOptions, memoryBytes: number): readonly Change[] {
  if (options.entries?.every((entry) => entry === 'generate') === true) return cacheChanges(options);
  const { recompute = 'none', batchSize, method } = options;
  const fewest = sequencesOf(options);
  const list: Change[] = [];
  if (recompute === 'none') list.push({ change: { recompute: 'cheap' }, changed: { recompute: 'cheap' } });
  const batch =
    method.updatesInBackward === true
      ? batchSize
      : (largestBatch({ ...options, accumulateGradients: true }, memoryBytes)?.batchSize ?? fewest);
  if (batch < batchSize) {
    list.push({
      change: { batchSize: batch, gradientAccumulationSteps: Math.ceil(batchSize / batch) },
      changed: { batchSize: batch, accumulateGradients: true },
    });
  }
  for (const rankRatio of [0.25, 0.125]) list.push(lazyCompact(options, rankRatio));
  if (recompute !== 'layer') list.push({ change: { recompute: 'layer' }, changed: { recompute: 'layer' } });
  const smallest = lazyCompact(options, 0.125);
  const oneByOne: Remedy['change'] =
    batchSize > fewest ? { batchSize: fewest, gradientAccumulationSteps: batchSize / fewest } : {};
  list.push({
    change: { ...smallest.change, recompute: 'layer', ...oneByOne },
    changed: {
      ...smallest.changed,
      recompute: 'layer',
      batchSize: fewest,
      accumulateGradients: batchSize > fewest,
    },
  });
  return list;
}

/** Of a plan that generates alone, the cache of keys and values can be smaller; in the words of a sampler's options. */
function cacheChanges({ sequenceLength, generateBatchSize = 1 }: CompileOptions): readonly Change[] {
  const half = Math.ceil(sequenceLength / 2);
  const oneByOne = { change: { batchSize: 1 }, changed: { generateBatchSize: 1 } };
  const shorter = { change: { contextLength: half }, changed: { sequenceLength: half } };
  const both = {
    change: { ...oneByOne.change, ...shorter.change },
    changed: { ...oneByOne.changed, ...shorter.changed },
  };
  return generateBatchSize > 1 ? [oneByOne, shorter, both] : [shorter];
}

function lazyCompact({ method }: CompileOptions, rankRatio: number): Change {
  const stateFormat = method.describe().stateFormat as StateFormat | undefined;
  return {
    change: { method: 'compact', rankRatio, store: 'lazy' },
    changed: { method: compact({ rankRatio, store: 'lazy', stateFormat }) },
  };
}

/** Those of one example. */
const sequencesOf = ({ model }: CompileOptions): number => model.sequencesOfExample ?? 1;

const checkMemory = (memoryBytes: number): number =>
  checkValue(memoryBytes, numberAbove(0), 'memoryBytes', 'ERR_COMPACT_ARGUMENT');

const peakOf = (options: CompileOptions): number => compile(options).peakBytes;
