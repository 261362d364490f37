import type { Placement, Placer, RankedBlock } from './placement.js';

export interface SearchOptions {
  readonly lowerBoundBytes: number;
  /** Good enough: the search ends. */
  readonly goalBytes: number;
  /** Number of instructions. */
  readonly length: number;
}

/**
 * Blocks are settled in three groups: those of the fullest moments that live long (a stack, in the given order), those
 * of the fullest moments that live shortly (searched), the rest (in the given order). The limits between the groups,
 * as shares of the lower bound and of the entry's length, are tried in turn.
 */
const limits = [
  { pressure: 0.97, duration: 1 / 8 },
  { pressure: 0.97, duration: 1 / 10 },
  { pressure: 0.97, duration: 1 / 12 },
  { pressure: 0.97, duration: 1 / 16 },
  { pressure: 0.97, duration: 1 / 6 },
  { pressure: 0.9, duration: 1 / 8 },
] as const;

const maxRounds = 1000;
/** Rounds without progress after which the search starts again from a random order. */
const patience = 100;
/** Comparisons that one search may spend at most, so that large plans stay quick. */
const maxComparisons = 4e7;

/**
 * Looks for an order in which the short-lived blocks around the peak fit below the lower bound: moves one of them in
 * the order, or to the other end of the free space, and keeps what is no worse.
 */
export function searchPlacement(
  placer: Placer,
  ranked: readonly RankedBlock[],
  { lowerBoundBytes, goalBytes, length }: SearchOptions,
): Placement {
  const random = generator();
  let best = placer.place(ranked);
  for (const limit of limits) {
    const isFull = (block: RankedBlock) => block.pressureBytes > limit.pressure * lowerBoundBytes;
    const isShort = (block: RankedBlock) => block.duration <= limit.duration * length;
    const stack = ranked.filter((block) => isFull(block) && !isShort(block));
    const rest = ranked.filter((block) => !isFull(block));
    let current: Arrangement = {
      order: ranked.filter((block) => isFull(block) && isShort(block)),
      fromAbove: new Set(),
    };
    const numSearched = current.order.length;
    if (numSearched < 2) continue;
    const bytesOf = ({ order, fromAbove }: Arrangement) =>
      placer.place([...stack, ...order], fromAbove).bytes;
    let bytes = bytesOf(current);
    const rounds = Math.min(maxRounds, maxComparisons / (stack.length + numSearched) ** 2);
    for (let round = 0, failures = 0; round < rounds && bytes > goalBytes; round++) {
      const restart = failures >= patience;
      const next = restart ? shuffled(current, random) : changed(current, random);
      const nextBytes = bytesOf(next);
      failures = restart || nextBytes < bytes ? 0 : failures + 1;
      if (nextBytes > bytes && !restart) continue;
      current = next;
      bytes = nextBytes;
    }
    const whole = placer.place([...stack, ...current.order, ...rest], current.fromAbove);
    if (whole.bytes < best.bytes) best = whole;
    if (best.bytes <= goalBytes) break;
  }
  return best;
}

interface Arrangement {
  readonly order: readonly RankedBlock[];
  readonly fromAbove: ReadonlySet<RankedBlock>;
}

function changed({ order, fromAbove }: Arrangement, random: () => number): Arrangement {
  const next = [...order];
  const [block] = next.splice(Math.floor(random() * next.length), 1) as [RankedBlock];
  if (random() < 0.5) {
    next.splice(Math.floor(random() * order.length), 0, block);
    return { order: next, fromAbove };
  }
  const flipped = new Set(fromAbove);
  if (!flipped.delete(block)) flipped.add(block);
  return { order, fromAbove: flipped };
}

function shuffled({ order }: Arrangement, random: () => number): Arrangement {
  const keys = new Map(order.map((block) => [block, random()]));
  return {
    order: order.toSorted((a, b) => keys.get(a)! - keys.get(b)!),
    fromAbove: new Set(order.filter(() => random() < 0.3)),
  };
}

/** A small congruential generator: equal plans for equal models. Numbers are from 0 to below 1. */
function generator(): () => number {
  let state = 1;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}
