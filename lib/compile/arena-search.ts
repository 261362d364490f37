import type { Placement, Placer, RankedBlock } from './placement.js';

export interface SearchOptions {
  /** Bytes in use at each instruction. */
  readonly live: Float64Array;
  readonly lowerBoundBytes: number;
  /** Good enough: the search ends. */
  readonly goalBytes: number;
}

/**
 * Lives up to these shares of the entry are short, tried in turn; later ones of the same length begin with other random
 * numbers.
 */
const shortLives = [1 / 8, 1 / 12, 1 / 16, 1 / 6, 1 / 24, 1 / 8, 1 / 12, 1 / 16];
/** Instructions with more live bytes than this share of the lower bound are contested from the start. */
const contestedShare = 0.97;
const maxExtensions = 10;
const maxRounds = 1000;
/** Rounds without progress after which the search starts again. */
const patience = 20;
/** Comparisons that the rounds may spend at most, so that large plans stay quick. */
const maxComparisons = 4e7;

/**
 * Settles blocks in three groups: those of contested moments that live long (a stack, in the given order), those of
 * contested moments that live shortly (searched), the rest (in the given order). Where the rest does not fit below the
 * goal, its moments become contested too.
 */
export function searchPlacement(
  placer: Placer,
  ranked: readonly RankedBlock[],
  { live, lowerBoundBytes, goalBytes }: SearchOptions,
): Placement {
  const random = generator();
  let best = placer.place(ranked);
  for (const share of shortLives) {
    const contested = live.map((bytes) => Number(bytes > contestedShare * lowerBoundBytes));
    let searched: Arrangement = { order: [], fromAbove: new Set() };
    for (let extension = 0; extension < maxExtensions; extension++) {
      const isContested = ({ first, last }: RankedBlock) => contested.subarray(first, last + 1).includes(1);
      const isShort = ({ first, last }: RankedBlock) => last - first < share * live.length;
      const full = ranked.filter(isContested);
      const stack = full.filter((block) => !isShort(block));
      const order = [...new Set([...searched.order, ...full.filter(isShort)])];
      if (order.length < 2) break;
      searched = improved(placer, stack, { order, fromAbove: searched.fromAbove }, goalBytes, random);
      const rest = ranked.filter((block) => !isContested(block));
      const whole = placer.place([...stack, ...searched.order, ...rest], searched.fromAbove);
      if (whole.bytes < best.bytes) best = whole;
      if (best.bytes <= goalBytes) return best;
      const numContested = contested.reduce((sum, moment) => sum + moment);
      for (const block of overflowing(ranked, whole, goalBytes))
        contested.fill(1, block.first, block.last + 1);
      if (contested.reduce((sum, moment) => sum + moment) === numContested) break;
    }
  }
  return best;
}

interface Arrangement {
  readonly order: readonly RankedBlock[];
  /** Blocks that hang from the ceiling instead of standing on what is below them. */
  readonly fromAbove: ReadonlySet<RankedBlock>;
}

/** Changes an arrangement at random, mostly near what does not fit, and keeps what is no worse. */
function improved(
  placer: Placer,
  stack: readonly RankedBlock[],
  start: Arrangement,
  goalBytes: number,
  random: () => number,
): Arrangement {
  const place = ({ order, fromAbove }: Arrangement) => placer.place([...stack, ...order], fromAbove);
  let current = start;
  let placement = place(current);
  const rounds = Math.min(maxRounds, maxComparisons / (stack.length + start.order.length) ** 2);
  for (let round = 0, failures = 0; round < rounds && placement.bytes > goalBytes; round++) {
    const isRestart = failures >= patience;
    const next = isRestart
      ? { order: start.order, fromAbove: new Set(start.order.filter(() => random() < 0.35)) }
      : changed(current, placement, goalBytes, random);
    const nextPlacement = place(next);
    failures = isRestart || nextPlacement.bytes < placement.bytes ? 0 : failures + 1;
    if (nextPlacement.bytes > placement.bytes && !isRestart) continue;
    current = next;
    placement = nextPlacement;
  }
  return current;
}

/** Turns one block over to the other end of the free space, or moves it in the order. */
function changed(
  { order, fromAbove }: Arrangement,
  placement: Placement,
  goalBytes: number,
  random: () => number,
): Arrangement {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const victim = random() < 0.7 ? pick(overflowing(order, placement, goalBytes)) : undefined;
  const isNear = ({ first, last }: RankedBlock) =>
    victim === undefined || (first <= victim.last && last >= victim.first);
  const block = pick(order.filter(isNear))!;
  if (random() < 0.2) {
    const others = order.filter((other) => other !== block);
    return { order: others.toSpliced(Math.floor(random() * order.length), 0, block), fromAbove };
  }
  const turned = new Set(fromAbove);
  if (!turned.delete(block)) turned.add(block);
  return { order, fromAbove: turned };
}

const overflowing = (
  blocks: readonly RankedBlock[],
  { offsets }: Placement,
  goalBytes: number,
): RankedBlock[] => blocks.filter(({ index, bytes }) => offsets[index]! + bytes > goalBytes);

/** A small congruential generator: equal plans for equal models. Numbers are from 0 to below 1. */
function generator(): () => number {
  let state = 1;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}
