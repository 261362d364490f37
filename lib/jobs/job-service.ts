import type { DeviceStatus, Fit } from './device-memory.js';
import type { Job, JobCheckpoint, JobEvent, JobPlan, JobRequest, JobStatus } from './job.js';
import type { JobListOptions, Page } from './job-store.js';
import type { ThroughputStatus } from './throughput.js';

/** What jobs do as a whole. Counts are of all owners and servers, everything else is of this server. */
export interface JobServiceStatus {
  readonly devices: readonly DeviceStatus[];
  readonly counts: Readonly<Record<JobStatus, number>>;
  /** Since when the job waits that has waited longest, in milliseconds since 1970; undefined when none waits. */
  readonly waitingSince: number | undefined;
  /** Bytes that the engines of the jobs that run allocate by their plans. */
  readonly plannedBytes: number;
  /** Ids of jobs that run, of whoever asks alone. */
  readonly runningJobs: readonly string[];
  readonly throughput: ThroughputStatus;
}

/** What a server asks of jobs; ids of somebody else's jobs are as those that do not exist. */
export interface JobService {
  /**
   * What a recipe would take, without doing it.
   * @throws what `fineTuneOptions` throws, and ERR_COMPACT_DOES_NOT_FIT with remedies in its details
   */
  plan(recipe: JobRequest['recipe']): Promise<JobPlan>;
  /** Plans, and queues what fits. @throws as `plan` */
  create(request: JobRequest, idempotencyKey?: string): Promise<Job>;
  /** Whether a plan fits on the devices as they are now. */
  fitOf(plan: JobPlan): Fit;
  /** Whether the owner has a job that was created with this key, so that creating it again adds none. */
  wasCreated(owner: string, idempotencyKey: string): Promise<boolean>;
  get(id: string, owner: string): Promise<Job | undefined>;
  list(owner: string, options: JobListOptions): Promise<Page<Job>>;
  /** How many of each status there are of one owner. */
  count(owner: string): Promise<Readonly<Record<JobStatus, number>>>;
  status(owner: string): Promise<JobServiceStatus>;
  /** @throws ERR_COMPACT_JOB_UNKNOWN, ERR_COMPACT_JOB_STATE */
  cancel(id: string, owner: string): Promise<Job>;
  pause(id: string, owner: string): Promise<Job>;
  resume(id: string, owner: string): Promise<Job>;
  /**
   * Retires what jobs may need (`JobRequest.needs`): none that needs it is created or resumed from then on, by any server.
   * @returns the id of a job that has not ended and needs it, where there is one; nothing is retired then
   */
  retire(name: string): Promise<string | undefined>;
  /**
   * Removes the files of a job that has succeeded: its model, adapters and checkpoints. The job and its events stay. What was
   * removed before is so again.
   * @throws ERR_COMPACT_JOB_UNKNOWN, ERR_COMPACT_JOB_STATE unless the job has succeeded
   */
  removeModel(id: string, owner: string): Promise<Job>;
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
