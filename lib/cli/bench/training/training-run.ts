import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { KindBytes, LossPoint, Timeline } from '../memory/report.js';

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

/** What the worker sends: progress, then the outcome or what went wrong. */
export type TrainingMessage =
  | { readonly type: 'step'; readonly step: number; readonly maxSteps: number; readonly loss: number }
  | { readonly type: 'outcome'; readonly outcome: TrainingOutcome }
  | { readonly type: 'error'; readonly message: string; readonly fields: Readonly<Record<string, unknown>> };

/** Trains in a child process; rejects with the child's error, or when `signal` is aborted with its reason. */
export function runTraining(
  job: TrainingJob,
  onStep: (progress: Extract<TrainingMessage, { type: 'step' }>) => void,
  signal?: AbortSignal,
): Promise<TrainingOutcome> {
  signal?.throwIfAborted();
  const child = fork(join(__dirname, 'training-worker.js'), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise<TrainingOutcome>((resolve, reject) => {
    child.on('message', (message: TrainingMessage) => {
      if (message.type === 'step') onStep(message);
      else if (message.type === 'outcome') resolve(message.outcome);
      else reject(Object.assign(new Error(message.message), message.fields));
    });
    const stop = (): void => {
      reject(signal!.reason as Error);
      child.kill('SIGKILL'); // it keeps nothing
    };
    signal?.addEventListener('abort', stop);
    child.on('error', reject);
    child.on('exit', (code, killedBy) => {
      signal?.removeEventListener('abort', stop);
      reject(new Error(`a training process ended early (${killedBy ?? code})`));
    });
    child.send(job);
  });
}
