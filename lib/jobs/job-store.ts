import type {
  Job,
  JobCheckpoint,
  JobError,
  JobEvent,
  JobPlan,
  JobRequest,
  JobResult,
  NewJobEvent,
} from './job.js';

/** A page of a list, the latest first. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

/** What is done of a running job; steps that are known already, from before its process was lost, change nothing. */
export interface JobProgress {
  readonly step: number;
  readonly trainedTokens: number;
  readonly events: readonly NewJobEvent[];
  readonly checkpoint?: Omit<JobCheckpoint, 'createdAt'> | undefined;
}

export type JobEnd =
  | { readonly status: 'succeeded'; readonly result: JobResult }
  | { readonly status: 'failed'; readonly error: JobError }
  | { readonly status: 'cancelled' | 'paused' | 'queued' };

/**
 * Jobs and what has happened to them, in a database. Every change is one transaction: a process that is killed at any moment
 * leaves a job as it was before or after it. Each change adds the events that tell of it.
 */
export interface JobStore {
  /** The job of the same owner that was created with this key, where there is one, and not another. */
  create(request: JobRequest, plan: JobPlan, idempotencyKey?: string): Promise<Job>;
  /** Undefined for a job of somebody else as for one that does not exist. */
  get(id: string, owner?: string): Promise<Job | undefined>;
  list(options: { owner?: string; after?: string; limit: number }): Promise<Page<Job>>;
  /** How many of each status there are; of one owner, or of all. */
  count(owner?: string): Promise<Readonly<Record<Job['status'], number>>>;
  /**
   * Takes the first job of the queue for this server, by priority and age, if it fits: a job that does not fit yet waits, and
   * those behind it with it, so that small ones do not keep large ones from ever beginning.
   */
  claim(server: string, fits: (plan: JobPlan) => boolean): Promise<Job | undefined>;
  /** Tells that this server is alive, so that no other takes its jobs. */
  renew(server: string): Promise<void>;
  /** Queues jobs whose server is gone: those of a database that is not shared, else those not renewed for `timeoutMs`. */
  requeueLost(server: string, timeoutMs: number): Promise<readonly Job[]>;
  /** @returns whether the job is to go on: false when it is no longer this server's */
  progress(id: string, server: string, progress: JobProgress): Promise<boolean>;
  /** The end of an attempt; nothing when the job is no longer this server's. */
  finish(id: string, server: string, end: JobEnd, event: NewJobEvent): Promise<Job | undefined>;
  /**
   * Asks for an end: a queued or paused job has it at once, a running one when its process has come to it.
   * @throws ERR_COMPACT_JOB_STATE when the job has ended, or is paused already
   */
  requestStop(id: string, status: 'paused' | 'cancelled'): Promise<Job>;
  /** @throws ERR_COMPACT_JOB_STATE unless the job is paused, or has failed (it then goes on from its last checkpoint) */
  resume(id: string): Promise<Job>;
  /** Those after an id, the oldest first. */
  events(id: string, options: { after?: number; limit: number }): Promise<readonly JobEvent[]>;
  checkpoints(id: string): Promise<readonly JobCheckpoint[]>;
  /** Forgets jobs that ended before a time, with their events; thins the metrics of those that ended to `maxEvents` a job. */
  compact(options: { endedBefore: number; maxEvents: number }): Promise<readonly string[]>;
}
