import { searchPlacement } from './arena-search.js';
import { type Block, liveBytes } from './lifetimes.js';
import { Placer, type Placement, type RankedBlock } from './placement.js';

/** Arenas within this factor of the lower bound are not improved any further. */
const tolerance = 1.005;

/**
 * Gives every block an offset so that no two blocks that are in use at the same time overlap, in an arena close to
 * the lower bound. Sorted orders are tried first; where they leave gaps, a short search among the few blocks around
 * the peak follows. The result is a pure function of the blocks.
 * @param length number of instructions
 */
export function placeBlocks(blocks: readonly Block[], length: number): Placement {
  const live = liveBytes(blocks, length);
  const lowerBoundBytes = live.reduce((largest, bytes) => Math.max(largest, bytes), 0);
  const ranked = rank(blocks, live);
  const placer = new Placer(blocks, lowerBoundBytes);
  let best: Placement | undefined;
  for (const compare of strategies) {
    const placement = placer.place(ranked.toSorted(compare));
    if (best === undefined || placement.bytes < best.bytes) best = placement;
    if (best.bytes === lowerBoundBytes) return best;
  }
  const goalBytes = tolerance * lowerBoundBytes;
  if (best!.bytes <= goalBytes) return best!;
  const found = searchPlacement(placer, ranked.toSorted(strategies[0]), { live, lowerBoundBytes, goalBytes });
  return found.bytes < best!.bytes ? found : best!;
}

const duration = ({ first, last }: Block): number => last - first + 1;

/**
 * Long lives first suits training: what forward saves is freed in reverse order, so it stacks without gaps, and the
 * short-lived rest goes above the stack's height of its own time.
 */
const strategies: readonly ((a: RankedBlock, b: RankedBlock) => number)[] = [
  (a, b) => b.pressureBytes - a.pressureBytes || duration(b) - duration(a) || b.bytes - a.bytes,
  (a, b) => duration(b) - duration(a) || b.bytes - a.bytes,
  (a, b) => b.bytes - a.bytes || duration(b) - duration(a),
];

function rank(blocks: readonly Block[], live: Float64Array): RankedBlock[] {
  return blocks.flatMap(({ bytes, first, last }, index) => {
    if (bytes === 0) return [];
    let pressureBytes = 0;
    for (let moment = first; moment <= last; moment++) pressureBytes = Math.max(pressureBytes, live[moment]!);
    return [{ bytes, first, last, index, pressureBytes }];
  });
}
