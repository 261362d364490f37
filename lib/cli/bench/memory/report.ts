import type { Accounting } from '../../../compile/index.js';
import type { Phase, ValueKind } from '../../../graph/index.js';
import type { KindBytes } from '../charts/palette.js';
import type { Machine } from '../machine.js';

/**
 * What `bench memory` measures, as it is written to report.json. Tables, charts and the page are all made from
 * this object alone, so no number can differ between them.
 */
export const reportVersion = 1;

export interface BenchReport {
  readonly type: 'bench-memory';
  readonly reportVersion: typeof reportVersion;
  readonly createdAt: string; // ISO 8601
  readonly quick: boolean;
  readonly machine: Machine;
  readonly planned: readonly PlannedTable[];
  readonly savings: readonly PlannedSaving[];
  readonly timelines: readonly NamedTimeline[];
  readonly demo: DemoReport;
  readonly durationSeconds: number;
}

/** Planned peaks of every model under one accounting. */
export interface PlannedTable {
  readonly accounting: Accounting;
  readonly batchSize: number; // sequences
  readonly sequenceLength: number;
  readonly dtype: 'f32' | 'bf16';
  /** Of the CPU that was planned for: every one has a workspace of its own. Absent for a GPU. */
  readonly threads: number | undefined;
  readonly models: readonly PlannedModel[];
}

export interface PlannedModel {
  readonly model: string;
  readonly numParameters: number;
  readonly peaks: readonly PlannedPeak[];
}

export interface PlannedPeak {
  /** Short name of method and policy, e.g. 'compact n/4 lazy'. */
  readonly variant: string;
  readonly peakBytes: number;
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  readonly arenaLowerBoundBytes: number;
  /** At the moment of the peak; sums to `peakBytes`. */
  readonly byKind: KindBytes;
  /** Peak as a share of dense training: plain, with cheap recompute, with layer checkpointing. */
  readonly shareOfPlain: number;
  readonly shareOfSelective: number | undefined; // undefined where that was not planned
  readonly shareOfCheckpointed: number | undefined;
  readonly planSeconds: number;
}

/** Bytes saved against dense training, beside what the CompAct paper measured on one GPU. */
export interface PlannedSaving {
  readonly model: string;
  readonly rankRatio: number;
  readonly plannedBytes: number;
  readonly publishedBytes: number | undefined; // undefined where the paper's dense run did not fit
}

/** Every byte of the arena during one training step. */
export interface Timeline {
  readonly peakBytes: number;
  readonly persistent: KindBytes;
  readonly arenaBytes: number;
  readonly instructions: readonly TimelineInstruction[];
  readonly blocks: readonly TimelineBlock[];
}

export interface TimelineInstruction {
  readonly op: string;
  readonly layer: string;
  readonly phase: Phase;
}

/**
 * One tensor's place: bytes [offset, offset + bytes) of the arena during instructions first to last, inclusive. Where
 * another is made in its place, it ends before that instruction, though this is what reads it last.
 */
export interface TimelineBlock {
  readonly name: string;
  readonly layer: string;
  readonly kind: ValueKind;
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  /** The instruction that writes it; undefined where the caller does, before the step. */
  readonly madeBy: number | undefined;
  /** The last instruction that reads it; undefined where the caller does, after the step. */
  readonly lastReadBy: number | undefined;
}

export interface NamedTimeline extends Timeline {
  readonly title: string; // model and size
  readonly variant: string;
}

/** The small model that is really trained, once per method, on the same batches. */
export interface DemoReport {
  readonly model: Readonly<Record<string, unknown>>;
  readonly numParameters: number;
  readonly corpus: string;
  readonly tokenizer: string;
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly maxSteps: number;
  readonly dtype: 'f32' | 'bf16';
  readonly seed: number;
  readonly runs: readonly DemoRun[];
}

export interface DemoRun {
  readonly variant: string;
  readonly learningRate: number; // peak, of matrices as it acts on them: compact's updateScale is in it
  readonly otherLearningRate: number; // of embeddings, head and norms
  readonly losses: readonly LossPoint[];
  readonly evaluations: readonly LossPoint[]; // on held-out text
  readonly finalLoss: number; // last evaluation, nats per token
  readonly perplexity: number;
  /** Final loss relative to the dense run's: 0.02 is two percent worse. */
  readonly lossGap: number;
  readonly tokensPerSecond: number;
  readonly plannedBytes: number;
  readonly allocatedBytes: number;
  readonly processBytes: number; // largest resident set of the run's own process
  readonly baseProcessBytes: number; // the same before the engine was made
  readonly eventLoopDelayP99Ms: number;
  readonly byKind: KindBytes;
  readonly sample: { readonly prompt: string; readonly text: string };
}

export interface LossPoint {
  readonly step: number;
  readonly numTokens: number;
  readonly loss: number;
}
