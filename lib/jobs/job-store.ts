import type { Fit } from './device-memory.js';
import type {
  Job,
  JobCheckpoint,
  JobError,
  JobEvent,
  JobPlan,
  JobRequest,
  JobResult,
  Labels,
  NewJobEvent,
} from './job.js';

/** A page of a list, the latest first. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

/**
 * What is done of a running job. Steps that are known already, from before its process was lost, change nothing: events of
 * type 'metrics' are left out whose `data.step` comes before the last one that is recorded, or is that one and has no name
 * that is not recorded of it.
 */
export interface JobProgress {
  readonly step: number;
  readonly trainedTokens: number;
  readonly events: readonly NewJobEvent[];
  readonly checkpoint?: Omit<JobCheckpoint, 'createdAt'> | undefined;
}

/** Which jobs of a list a page has. */
export interface JobListOptions {
  readonly after?: string;
  readonly limit: number;
  /** Those with all of these labels; null: those without any. Default: all. */
  readonly labels?: Labels | null;
}

/** What becomes of a job when its process has ended. */
export type JobEnd =
  | { readonly status: 'succeeded'; readonly result: JobResult }
  | { readonly status: 'failed'; readonly error: JobError }
  | { readonly status: 'cancelled' | 'paused' }
  /** `losses` where one more process was lost: what the job has of them now. */
  | { readonly status: 'queued'; readonly losses?: number };

/**
 * Jobs and what has happened to them, in a database. Every change is one transaction: a process that is killed at any moment
 * leaves a job as it was before or after it. Each change adds the events that tell of it.
 *
 * A `server` is a process, and has another name each time that it is started: what one of an earlier name ran is lost.
 */
export interface JobStore {
  /**
   * The job of the same owner that was created with this key, where there is one, and not another.
   * @throws ERR_COMPACT_JOB_STATE when it was created with this key by another request, or what it needs is retired
   */
  create(request: JobRequest, plan: JobPlan, idempotencyKey?: string): Promise<Job>;
  /** Whether the owner has a job that was created with this key. */
  wasCreated(owner: string, idempotencyKey: string): Promise<boolean>;
  /** Undefined for a job of somebody else as for one that does not exist. */
  get(id: string, owner?: string): Promise<Job | undefined>;
  /**
   * @param options.after id of the job that the page comes after
   * @throws ERR_COMPACT_JOB_UNKNOWN where there is none, or it is another owner's
   */
  list(options: JobListOptions & { owner?: string }): Promise<Page<Job>>;
  /** How many of each status there are; of one owner, or of all. */
  count(owner?: string): Promise<Readonly<Record<Job['status'], number>>>;
  /** Since when the queued job waits that has waited longest, in milliseconds since 1970. */
  waitingSince(): Promise<number | undefined>;
  /**
   * Takes the first job of the queue for this server, by priority and age, if it fits now. One that fits later waits, and
   * those behind it with it, so that small ones do not keep large ones from ever beginning. One that never fits here, or for
   * which other programs leave no room, is left to other servers; where there cannot be any, the latter waits as one that
   * fits later, and the former fails with ERR_COMPACT_DOES_NOT_FIT.
   */
  claim(server: string, fitOf: (plan: JobPlan) => Fit): Promise<Job | undefined>;
  /** Tells that this server is alive, so that no other takes its jobs. */
  renew(server: string): Promise<void>;
  /**
   * Queues jobs whose server is gone: all others' of a database that is not shared, else those of servers that have not
   * renewed for `timeoutMs`, as far as this store has watched them, which begins with its first call. A job that was asked
   * to end has come to that end.
   * @returns what the jobs have become
   */
  requeueLost(server: string, timeoutMs: number): Promise<readonly Job[]>;
  /** @returns whether the job is to go on: false when it is no longer this server's */
  progress(id: string, server: string, progress: JobProgress): Promise<boolean>;
  /**
   * The end of an attempt; nothing when the job is no longer this server's. One that is put back into the queue and was asked
   * to end has come to that end, and one that is paused and was cancelled meanwhile is cancelled: see what is returned.
   */
  finish(id: string, server: string, end: JobEnd, event: NewJobEvent): Promise<Job | undefined>;
  /**
   * Asks for an end: a queued or paused job has it at once, a running one when its process has come to it.
   * @throws ERR_COMPACT_JOB_UNKNOWN, ERR_COMPACT_JOB_STATE when the job has ended, is paused already, or is to be paused
   *   while it is being cancelled
   */
  requestStop(id: string, status: 'paused' | 'cancelled'): Promise<Job>;
  /**
   * @throws ERR_COMPACT_JOB_UNKNOWN, ERR_COMPACT_JOB_STATE unless the job is paused, or has failed (it then goes on from its
   *   last checkpoint), and nothing that it needs is retired
   */
  resume(id: string): Promise<Job>;
  /**
   * Retires what jobs may need: none that needs it is created or resumed from then on, by any server.
   * @returns the id of a job that has not ended and needs it, where there is one; nothing is retired then
   */
  retire(name: string): Promise<string | undefined>;
  /**
   * Takes what a job has trained out of its result: it is gone. Nothing happens where it was taken out before.
   * @throws ERR_COMPACT_JOB_UNKNOWN, ERR_COMPACT_JOB_STATE unless the job has succeeded
   */
  forgetModel(id: string): Promise<Job>;
  /** Those after an id, the oldest first. */
  events(id: string, options: { after?: number; limit: number }): Promise<readonly JobEvent[]>;
  /** The latest ones, of those before an id where one is given, the newest first. */
  latestEvents(id: string, options: { before?: number; limit: number }): Promise<readonly JobEvent[]>;
  checkpoints(id: string): Promise<readonly JobCheckpoint[]>;
  /**
   * Forgets jobs that ended before a time, with their events and keys, but for those whose model one that has not ended needs; thins the metrics of those that ended to `maxEvents` a
   * job, so that ids of events are missing from then on. Some jobs at a time, so that nothing else waits for long.
   * @returns ids of those that are forgotten
   */
  compact(options: { endedBefore: number; maxEvents: number }): Promise<readonly string[]>;
}
