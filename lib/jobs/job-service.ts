import type { Job, JobCheckpoint, JobEvent, JobPlan, JobRequest, JobStatus } from './job.js';
import type { Page } from './job-store.js';

/** What a server asks of jobs; ids of somebody else's jobs are as those that do not exist. */
export interface JobService {
  /**
   * What a recipe would take, without doing it.
   * @throws what `fineTuneOptions` throws, and ERR_COMPACT_DOES_NOT_FIT with remedies in its details
   */
  plan(recipe: JobRequest['recipe']): Promise<JobPlan>;
  /** Plans, and queues what fits. @throws as `plan` */
  create(request: JobRequest, idempotencyKey?: string): Promise<Job>;
  get(id: string, owner: string): Promise<Job | undefined>;
  list(owner: string, options: { after?: string; limit: number }): Promise<Page<Job>>;
  /** How many of each status there are of one owner. */
  count(owner: string): Promise<Readonly<Record<JobStatus, number>>>;
  /** @throws ERR_COMPACT_JOB_UNKNOWN, ERR_COMPACT_JOB_STATE */
  cancel(id: string, owner: string): Promise<Job>;
  pause(id: string, owner: string): Promise<Job>;
  resume(id: string, owner: string): Promise<Job>;
  /** Those after an id, the oldest first. @throws ERR_COMPACT_JOB_UNKNOWN */
  events(id: string, owner: string, options: { after?: number; limit: number }): Promise<readonly JobEvent[]>;
  /** The latest ones, of those before an id where one is given, the newest first. @throws ERR_COMPACT_JOB_UNKNOWN */
  latestEvents(
    id: string,
    owner: string,
    options: { before?: number; limit: number },
  ): Promise<readonly JobEvent[]>;
  /** @throws ERR_COMPACT_JOB_UNKNOWN */
  checkpoints(id: string, owner: string): Promise<readonly JobCheckpoint[]>;
  /** Calls the listener whenever there is something new of a job; what is new it reads by `events`. @returns how to end that */
  watch(id: string, listener: () => void): () => void;
  /** The folder of a job's files. */
  folder(id: string): string;
}
