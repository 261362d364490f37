import type { Block } from './lifetimes.js';

export interface Arena {
  /** Of each block, in the order given. */
  readonly offsets: Float64Array;
  readonly bytes: number;
}

/**
 * Gives every block an offset so that no two blocks that are in use at the same time overlap. Several orders of
 * placing are tried, each block at the lowest gap that is free for its whole life; the smallest arena wins, and the
 * search ends early when it meets the lower bound.
 */
export function placeBlocks(blocks: readonly Block[], lowerBoundBytes: number): Arena {
  const real = [...blocks.keys()].filter((index) => blocks[index]!.bytes > 0);
  let best: Arena | undefined;
  for (const compare of strategies) {
    const order = real.toSorted((a, b) => compare(blocks[a]!, blocks[b]!) || a - b);
    const arena = placeInOrder(blocks, order);
    if (best === undefined || arena.bytes < best.bytes) best = arena;
    if (best.bytes === lowerBoundBytes) break;
  }
  return best!;
}

const duration = ({ first, last }: Block): number => last - first + 1;

/**
 * Long lives first suits training: what forward saves is freed in reverse order, so it stacks without gaps, and the
 * short-lived rest goes above the stack's height of its own time.
 */
const strategies: readonly ((a: Block, b: Block) => number)[] = [
  (a, b) => duration(b) - duration(a) || b.bytes - a.bytes,
  (a, b) => b.bytes * duration(b) - a.bytes * duration(a),
  (a, b) => b.bytes - a.bytes || duration(b) - duration(a),
  (a, b) => a.first - b.first || duration(b) - duration(a),
];

function placeInOrder(blocks: readonly Block[], order: readonly number[]): Arena {
  const offsets = new Float64Array(blocks.length);
  // The blocks placed so far, by rising offset.
  const starts = new Float64Array(order.length);
  const ends = new Float64Array(order.length);
  const firsts = new Int32Array(order.length);
  const lasts = new Int32Array(order.length);
  let bytes = 0;
  for (const [placed, index] of order.entries()) {
    const block = blocks[index]!;
    let offset = 0;
    for (let other = 0; other < placed; other++) {
      if (firsts[other]! > block.last || lasts[other]! < block.first) continue;
      if (starts[other]! - offset >= block.bytes) break;
      if (ends[other]! > offset) offset = ends[other]!;
    }
    offsets[index] = offset;
    bytes = Math.max(bytes, offset + block.bytes);
    let slot = placed;
    while (slot > 0 && starts[slot - 1]! > offset) slot--;
    for (const column of [starts, ends, firsts, lasts]) column.copyWithin(slot + 1, slot, placed);
    starts[slot] = offset;
    ends[slot] = offset + block.bytes;
    firsts[slot] = block.first;
    lasts[slot] = block.last;
  }
  return { offsets, bytes };
}
