import { join } from 'node:path';
import { runProcess } from '../../../jobs/process/run-process.js';
import type { KindBytes } from '../charts/palette.js';
import type { LossPoint, Timeline } from '../memory/report.js';

/** One run for a process of its own, so that its memory is its own. */
export interface TrainingJob {
  /** Options as in a recipe. */
  readonly recipe: Readonly<Record<string, unknown>>;
  readonly sample?: { readonly prompt: string; readonly maxNewTokens: number };
}

export interface TrainingOutcome {
  readonly model: Readonly<Record<string, unknown>>;
  readonly numParameters: number;
  readonly losses: readonly LossPoint[];
  readonly evaluations: readonly LossPoint[];
  readonly tokensPerSecond: number; // median of the steps
  readonly plannedBytes: number;
  readonly allocatedBytes: number;
  readonly processBytes: number;
  readonly baseProcessBytes: number;
  readonly eventLoopDelayP99Ms: number;
  readonly byKind: KindBytes;
  readonly timeline: Timeline;
  readonly sample: { readonly prompt: string; readonly text: string };
}

/** What is told of every step. */
export interface TrainingStep {
  readonly step: number;
  readonly maxSteps: number;
  readonly loss: number;
}

/**
 * Trains in a child process.
 * @throws the child's error, ERR_COMPACT_JOB_LOST, or when `signal` is aborted its reason: the process is killed, it keeps
 *   nothing
 */
export const runTraining = (
  job: TrainingJob,
  onStep: (progress: TrainingStep) => void,
  signal?: AbortSignal,
): Promise<TrainingOutcome> =>
  runProcess<TrainingOutcome, TrainingStep>(join(__dirname, 'training-worker.js'), job, {
    onMessage: onStep,
    signal,
  });
