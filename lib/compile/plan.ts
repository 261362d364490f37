import type { Attribute, DType, Phase, ValueKind } from '../graph/index.js';

/** Version of the form of a plan; an engine refuses others. */
export const planVersion = 4;

/**
 * Where a value lives: its own place for the engine's life, a slot of the arena that others reuse, some rows of a
 * persistent value, or the start of the arena, where it lasts until an entry is run that names no value of a session.
 */
export type Region = 'persistent' | 'arena' | 'rows' | 'session';

/** A tensor of a plan: its shape, and where its bytes stand. */
export interface PlanValue {
  /** Index in Plan.values. */
  readonly id: number;
  /** Unique among persistent values; `layer/op.output` otherwise. */
  readonly name: string;
  readonly layer: string;
  readonly kind: ValueKind;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly region: Region;
  /** Bytes from the start of the region, a multiple of 256; of rows from that of the persistent region, of a session from that of the arena. */
  readonly offset: number;
  readonly bytes: number;
}

/** One call of a kernel. */
export interface PlanInstruction {
  readonly op: string;
  /** Value ids; -1 for an absent optional input. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly workspace: { readonly offset: number; readonly bytes: number; readonly kind: ValueKind };
  /** The workspace is in use from the instruction before on: the kernel prepares it there. */
  readonly isPreparedAhead: boolean;
  readonly layer: string;
  readonly phase: Phase;
  readonly flops: number;
  /**
   * May run at the same time as the instruction before it, whose op it shares: the two touch no byte that either of
   * them writes. A run of such instructions is a group.
   */
  readonly joinsPrevious: boolean;
}

/**
 * Instructions of one entry, from first to last inclusive, during which a value holds its bytes. A value made in place
 * of another holds them from its own instruction on, so at any moment every byte counts once.
 */
export interface Lifetime {
  readonly value: number;
  readonly first: number;
  readonly last: number;
}

/** A list of instructions that is run as a whole: a step, an evaluation. */
export interface PlanEntry {
  readonly name: string;
  readonly instructions: readonly PlanInstruction[];
  /** Values that the caller writes before the run. */
  readonly inputs: readonly number[];
  /** Values that the caller gets after the run. */
  readonly outputs: readonly number[];
  /** Of values in the arena only; those of a session hold their bytes from the first instruction to the last. */
  readonly lifetimes: readonly Lifetime[];
  readonly arenaBytes: number;
  /** Largest sum of live arena bytes: no layout can need less. */
  readonly arenaLowerBoundBytes: number;
}

/** The compiler's result: kernel calls over fixed offsets. Everything that will be allocated is known here. */
export interface Plan {
  readonly version: typeof planVersion;
  readonly device: 'cpu' | 'cuda' | 'cuda-emulated';
  /** Names of the numbers that runs are given, in the order of their slots. */
  readonly scalars: readonly string[];
  readonly values: readonly PlanValue[];
  readonly entries: Readonly<Record<string, PlanEntry>>;
  readonly persistentBytes: number;
  /** Largest arena of any entry. */
  readonly arenaBytes: number;
  readonly arenaLowerBoundBytes: number;
  /** persistentBytes + arenaBytes: exactly what an engine allocates. */
  readonly peakBytes: number;
}
