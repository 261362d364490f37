import type { Block } from './lifetimes.js';

/** A block with its place in the list of all blocks, and the fullest moment of its life. */
export interface RankedBlock extends Block {
  readonly index: number;
  /** Largest sum of bytes in use while this block is. */
  readonly pressureBytes: number;
}

/** Offsets of blocks, and the bytes that they span. */
export interface Placement {
  /** Of each block, by its index. */
  readonly offsets: Float64Array;
  readonly bytes: number;
}

/** Places blocks one after the other, each in the first gap that is free for its whole life. */
export class Placer {
  readonly #sizes: Float64Array;
  readonly #firsts: Int32Array;
  readonly #lasts: Int32Array;
  readonly #ceilingBytes: number;
  // The blocks placed so far, by rising offset.
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #placed: Int32Array;

  /** @param ceilingBytes where blocks that are placed from above hang */
  constructor(blocks: readonly Block[], ceilingBytes: number) {
    this.#sizes = Float64Array.from(blocks, ({ bytes }) => bytes);
    this.#firsts = Int32Array.from(blocks, ({ first }) => first);
    this.#lasts = Int32Array.from(blocks, ({ last }) => last);
    this.#ceilingBytes = ceilingBytes;
    this.#starts = new Float64Array(blocks.length);
    this.#ends = new Float64Array(blocks.length);
    this.#placed = new Int32Array(blocks.length);
  }

  /** Blocks in `fromAbove` take the highest gap below the ceiling instead of the lowest. */
  place(order: readonly RankedBlock[], fromAbove: ReadonlySet<RankedBlock> = new Set()): Placement {
    const starts = this.#starts;
    const ends = this.#ends;
    const placed = this.#placed;
    const offsets = new Float64Array(this.#sizes.length);
    let bytes = 0;
    for (const [count, block] of order.entries()) {
      const { index } = block;
      const offset = this.#gap(index, count, fromAbove.has(block));
      const end = offset + this.#sizes[index]!;
      offsets[index] = offset;
      bytes = Math.max(bytes, end);
      let slot = count;
      for (; slot > 0 && starts[slot - 1]! > offset; slot--) {
        starts[slot] = starts[slot - 1]!;
        ends[slot] = ends[slot - 1]!;
        placed[slot] = placed[slot - 1]!;
      }
      starts[slot] = offset;
      ends[slot] = end;
      placed[slot] = index;
    }
    return { offsets, bytes };
  }

  #gap(index: number, count: number, fromAbove: boolean): number {
    const size = this.#sizes[index]!;
    const first = this.#firsts[index]!;
    const last = this.#lasts[index]!;
    let lowest = 0;
    let highest = -1;
    for (let slot = 0; slot < count; slot++) {
      const other = this.#placed[slot]!;
      if (this.#firsts[other]! > last || this.#lasts[other]! < first) continue;
      if (this.#starts[slot]! - lowest >= size) {
        if (!fromAbove) return lowest;
        highest = this.#starts[slot]! - size;
      }
      if (this.#ends[slot]! > lowest) lowest = this.#ends[slot]!;
    }
    if (fromAbove && lowest + size <= this.#ceilingBytes) return this.#ceilingBytes - size;
    return highest >= 0 ? highest : lowest;
  }
}
