import type { CompactErrorFields } from '../errors.js';

/**
 * A job: a fine-tuning that is done in a process of its own, when its turn has come and its plan fits.
 *
 * queued -> running -> succeeded, failed or cancelled; a job that is paused has a checkpoint to go on from, and is queued
 * again when it is resumed.
 */
export const jobStatuses = ['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'] as const;

/** One of `jobStatuses`. */
export type JobStatus = (typeof jobStatuses)[number];

export const finalStatuses: readonly JobStatus[] = ['succeeded', 'failed', 'cancelled'];

/** What is asked of a job beside what it has done so far. */
export interface JobRequest {
  /** Options of `fineTune` as plain values (`fineTuneFromRecipe`), but for `outputDirectory`: a job has a folder of its own. */
  readonly recipe: Readonly<Record<string, unknown>>;
  /** Whose it is: others neither see nor count it. */
  readonly owner: string;
  /** Jobs of a higher one begin first; those of the same one in the order of creation. */
  readonly priority: number;
  /** What who asks for it keeps with it; the queue does not read it. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Names of what the job reads until it has ended, such as files: none of it may go meanwhile (`JobStore.retire`). */
  readonly needs?: readonly string[];
  /** What lists of jobs are filtered by. */
  readonly labels?: Labels;
}

/** Texts by names. */
export type Labels = Readonly<Record<string, string>>;

/** What a job takes of the device that it is planned for. */
export interface JobPlan {
  /** Kind and number of the device: 'cpu', 'cuda:0'; without a number any GPU, of which the queue takes one that has room. */
  readonly device: string;
  /** Bytes that the engine allocates: the peak of the plan. */
  readonly plannedBytes: number;
  /** Bytes beside: of the process itself, or on a GPU of its context and code. */
  readonly overheadBytes: number;
  readonly numParameters: number;
  readonly maxSteps: number;
  /** Tokens that all steps learn from, about. */
  readonly numTokens: number;
  /** The bytes of the peak by what they are for (`memoryReport`). */
  readonly bytesByKind: Readonly<Record<string, number>>;
  /** The same of the same run with every weight trained by AdamW, and nothing compressed. */
  readonly denseBytesByKind: Readonly<Record<string, number>>;
}

/** Why a job failed: the parts of a typed error, or what is known of a process that died. */
export interface JobError extends Pick<CompactErrorFields, 'op' | 'expected' | 'received' | 'remedy'> {
  readonly code: string;
  readonly what: string;
}

/** What a job has trained. */
export interface JobResult {
  /** The trained model in Hugging Face's layout, adapters alone, and the last checkpoint: paths below the job's folder. */
  readonly folder?: string | undefined;
  readonly adapters?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly step: number;
  readonly loss?: number | undefined;
  readonly evalLoss?: number | undefined;
}

/** What was asked for, and how far it is. */
export interface Job extends Omit<JobRequest, 'needs' | 'labels'> {
  readonly id: string;
  readonly status: JobStatus;
  /** What a running job was asked to become; undefined when it was not. */
  readonly stopRequest: 'paused' | 'cancelled' | undefined;
  readonly plan: JobPlan;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** How often it was begun: one more each time that its process was lost, and when it was paused. */
  readonly attempts: number;
  /** Processes of the job that were lost since its latest checkpoint. */
  readonly losses: number;
  /** Optimizer steps done, and the tokens that they learnt from. */
  readonly step: number;
  readonly trainedTokens: number;
  readonly error: JobError | undefined;
  readonly result: JobResult | undefined;
}

/** What happened to a job. Their ids count from 1 in each job, without gaps, in the order in which they happened. */
export interface JobEvent {
  readonly id: number;
  readonly createdAt: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly type: 'message' | 'metrics';
  readonly message: string;
  /** Of type 'metrics': step, loss, learningRate, evalLoss, ... by name. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event before it is kept. */
export type NewJobEvent = Omit<JobEvent, 'id' | 'createdAt'>;

/** A state of a job that it can go on from, and what was measured there. */
export interface JobCheckpoint {
  readonly step: number;
  readonly createdAt: number;
  /** Below the job's folder. */
  readonly path: string;
  readonly metrics: Readonly<Record<string, number>>;
}
