import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { compactError } from '../errors.js';
import { physicalCores } from '../runtime/cpu.js';
import { DeviceMemory, type Fit, type JobDevice } from './device-memory.js';
import { endOfAttempt, isLost, type Attempt } from './end-of-attempt.js';
import type { Job, JobCheckpoint, JobEvent, JobPlan, JobRequest, JobStatus } from './job.js';
import { JobListeners } from './job-listeners.js';
import { checkJobQueueOptions, type JobQueueOptions } from './job-queue-options.js';
import { JobRun, type Wish } from './job-run.js';
import { checkSucceeded } from './job-states.js';
import type { JobService, JobServiceStatus } from './job-service.js';
import type { JobListOptions, Page } from './job-store.js';
import type { JobTask } from './job-task.js';
import { measureDevices } from './measure-devices.js';
import { persistently, storeRetryMs } from './persistent-store.js';
import { Planner } from './planner.js';
import { retain } from './retention.js';
import { Throughput } from './throughput.js';
import { recordThrown } from './tracer.js';

type Settings = Omit<
  ReturnType<typeof checkJobQueueOptions>,
  'devices' | 'maxRunning' | 'memoryLimitBytes'
> & {
  /** The devices, as they are at the start. */
  readonly devices: readonly JobDevice[];
  readonly measure: () => Promise<readonly JobDevice[]>;
  readonly maxRunning: number;
};

/** Between two looks at what is kept of jobs that have ended. */
const retainMs = 3600 * 1000;

/**
 * Does jobs, each in a process of its own: as many side by side as fit into memory, in the order that the store gives. What a
 * job does is in the store before anybody hears of it, and what it has learnt in checkpoints in its folder, so that jobs go
 * on whatever ends: their processes, this one, or the machine.
 */
export class JobQueue implements JobService, AsyncDisposable {
  readonly #options: Settings;
  readonly #memory: DeviceMemory;
  readonly #planner: Planner;
  readonly #runs = new Map<string, { readonly run: JobRun; readonly ended: Promise<void> }>();
  readonly #throughput = new Throughput();
  readonly #listeners: JobListeners;
  /** Whether a job waits for memory that other programs have. */
  #isCrowded = false;
  /** No more is asked of a store that does not answer. */
  readonly #givingUp = new AbortController();
  readonly #ended = new AbortController();
  readonly #renewing: Promise<void>;
  readonly #retainTimer: NodeJS.Timeout;
  #retaining: Promise<void> = Promise.resolve();
  #claiming: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(options: Settings) {
    this.#options = options;
    this.#memory = new DeviceMemory(options.devices);
    this.#listeners = new JobListeners(options.onProblem);
    this.#planner = new Planner({ devices: options.devices, presetDirectory: this.#presetDirectory });
    this.#renewing = this.#renewUntilEnded();
    this.#retainTimer = setInterval(() => this.#retain(), retainMs).unref();
    this.#retain();
  }

  /**
   * Opens the queue of a store: jobs of a server that is gone are queued again, and the first ones begin.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_STORE
   */
  static async open(given: JobQueueOptions): Promise<JobQueue> {
    const checked = checkJobQueueOptions(given);
    const measure = async (): Promise<readonly JobDevice[]> =>
      checked.devices ?? measureDevices(checked.memoryLimitBytes);
    const devices = await measure();
    const { maxRunning = Math.max(physicalCores(), devices.length) } = checked;
    const options = { ...checked, measure, devices, maxRunning };
    await options.store.requeueLost(options.server, options.lostAfterMs);
    const queue = new JobQueue(options);
    void queue.#claim();
    return queue;
  }

  /** @throws what `planJob` throws, ERR_COMPACT_DISPOSED */
  plan(recipe: JobRequest['recipe']): Promise<JobPlan> {
    return this.#planner.plan(recipe);
  }

  /** @throws what `plan` throws, ERR_COMPACT_STORE */
  async create(request: JobRequest, idempotencyKey?: string): Promise<Job> {
    const plan = await this.plan(request.recipe);
    const job = await this.#options.store.create(request, plan, idempotencyKey);
    void this.#claim();
    return job;
  }

  fitOf(plan: JobPlan): Fit {
    return this.#memory.fitOf(plan);
  }

  wasCreated(owner: string, idempotencyKey: string): Promise<boolean> {
    return this.#options.store.wasCreated(owner, idempotencyKey);
  }

  get(id: string, owner: string): Promise<Job | undefined> {
    return this.#options.store.get(id, owner);
  }

  list(owner: string, options: JobListOptions): Promise<Page<Job>> {
    return this.#options.store.list({ owner, ...options });
  }

  count(owner: string): Promise<Readonly<Record<JobStatus, number>>> {
    return this.#options.store.count(owner);
  }

  async status(owner: string): Promise<JobServiceStatus> {
    const { store } = this.#options;
    const [counts, waitingSince] = await Promise.all([store.count(), store.waitingSince()]);
    const running = [...this.#runs.values()].map(({ run }) => run.job);
    return {
      devices: this.#memory.status,
      counts,
      waitingSince,
      plannedBytes: running.reduce((bytes, { plan }) => bytes + plan.plannedBytes, 0),
      runningJobs: running.filter((job) => job.owner === owner).map(({ id }) => id),
      throughput: this.#throughput.status,
    };
  }

  /** A running job is killed; a queued or paused one is cancelled when this returns. */
  cancel(id: string, owner: string): Promise<Job> {
    return this.#requestStop(id, owner, 'cancelled', 0);
  }

  /** A running job ends after its step, with a checkpoint. */
  pause(id: string, owner: string): Promise<Job> {
    return this.#requestStop(id, owner, 'paused', this.#options.pauseGraceMs);
  }

  async resume(id: string, owner: string): Promise<Job> {
    await this.#checkOwner(id, owner);
    const job = await this.#options.store.resume(id);
    this.#listeners.tell(id);
    void this.#claim();
    return job;
  }

  retire(name: string): Promise<string | undefined> {
    return this.#options.store.retire(name);
  }

  /** The record comes last: what a crash leaves between is a model without files, which is removed again. */
  async removeModel(id: string, owner: string): Promise<Job> {
    const job = await this.get(id, owner);
    if (job === undefined) throw unknownJob(id);
    checkSucceeded(job);
    await rm(this.folder(id), { recursive: true, force: true });
    const left = await this.#options.store.forgetModel(id);
    this.#listeners.tell(id);
    return left;
  }

  async events(
    id: string,
    owner: string,
    options: { after?: number; limit: number },
  ): Promise<readonly JobEvent[]> {
    await this.#checkOwner(id, owner);
    return this.#options.store.events(id, options);
  }

  async latestEvents(
    id: string,
    owner: string,
    options: { before?: number; limit: number },
  ): Promise<readonly JobEvent[]> {
    await this.#checkOwner(id, owner);
    return this.#options.store.latestEvents(id, options);
  }

  /** Those that are still there: of a run all but the latest are removed, as its `saveTotalLimit` says. */
  async checkpoints(id: string, owner: string): Promise<readonly JobCheckpoint[]> {
    await this.#checkOwner(id, owner);
    const known = await this.#options.store.checkpoints(id);
    return known.filter(({ path }) => existsSync(join(this.folder(id), path)));
  }

  watch(id: string, listener: () => void): () => void {
    return this.#listeners.add(id, listener);
  }

  /** @throws ERR_COMPACT_JOB_UNKNOWN for what cannot be an id */
  folder(id: string): string {
    if (!/^[\w-]+$/.test(id)) throw unknownJob(id);
    return join(this.#options.directory, 'jobs', id);
  }

  /**
   * Admits nothing more, asks all that run for a checkpoint, and waits; what has not ended after `graceMs` is killed. Jobs that
   * are not done are in the queue afterwards. Safe to call twice.
   */
  close({ graceMs = 30_000 }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
    await this.#planner.close();
    await this.#claiming;
    clearInterval(this.#retainTimer);
    const runs = [...this.#runs.values()];
    for (const { run } of runs) run.end('queued', graceMs);
    const deadline = setTimeout(() => this.#givingUp.abort(), graceMs + 10 * storeRetryMs);
    await Promise.all(runs.map(({ ended }) => ended));
    clearTimeout(deadline);
    this.#ended.abort();
    await this.#retaining;
    await this.#renewing; // the store is its owner's again
  }

  get #presetDirectory(): string {
    return join(this.#options.directory, 'presets');
  }

  /** Begins what fits, one claim after the other, so that each knows what those before it took. */
  #claim(): Promise<void> {
    this.#claiming = this.#claiming.then(() => this.#claimFitting()).catch(this.#options.onProblem);
    return this.#claiming;
  }

  async #claimFitting(): Promise<void> {
    const { store, server, maxRunning } = this.#options;
    await this.#measureAgain();
    while (this.#closing === undefined && this.#runs.size < maxRunning) {
      this.#isCrowded = false;
      const job = await store.claim(server, (plan) => {
        const fit = this.fitOf(plan);
        this.#isCrowded ||= fit === 'crowded';
        return fit;
      });
      if (job === undefined) return;
      const run = new JobRun(job);
      if (job.stopRequest !== undefined) run.end(job.stopRequest, 0);
      // It comes back from another server, which had taken it while this one stood still.
      const before = this.#runs.get(job.id);
      before?.run.disown();
      // It fits as it did: others only gave something back meanwhile.
      const ended = this.#work(run, this.#memory.find(job.plan)!, before?.ended);
      this.#runs.set(job.id, { run, ended });
      this.#listeners.tell(job.id);
    }
  }

  /** While a job waits for other programs. What jobs have would count as theirs, so none may run. */
  async #measureAgain(): Promise<void> {
    if (this.#closing !== undefined || !this.#isCrowded || this.#runs.size > 0) return;
    this.#memory.update(await this.#options.measure());
  }

  /** Never rejects: what goes wrong is the end of the job, or a problem of the store. */
  async #work(run: JobRun, device: JobDevice, before: Promise<void> | undefined): Promise<void> {
    const { store, server, onProblem } = this.#options;
    const { id, plan } = run.job;
    const taken = this.#memory.take(device, plan);
    await before;
    try {
      const attempt = await this.#tracedAttempt(run, device);
      const losses = isLost(attempt) ? run.losses + 1 : 0;
      const { end, event } = endOfAttempt(attempt, run.wish, losses);
      if (!run.isDisowned) await this.#persistently(() => store.finish(id, server, end, event));
    } catch (error) {
      onProblem(error);
    }
    taken[Symbol.dispose]();
    if (this.#runs.get(id)?.run === run) this.#runs.delete(id);
    this.#listeners.tell(id);
    void this.#claim();
  }

  async #tracedAttempt(run: JobRun, device: JobDevice): Promise<Attempt> {
    const { id, attempts } = run.job;
    const attributes = {
      'compact.job.id': id,
      'compact.job.attempt': attempts,
      'compact.device': device.name,
    };
    const span = this.#options.tracer?.startSpan('compact.job', { attributes });
    const attempt = await this.#attempt(run, device);
    if (span === undefined) return attempt;
    if ('error' in attempt) recordThrown(span, attempt.error);
    else span.setAttribute('compact.job.step', attempt.outcome.result.step);
    span.end();
    return attempt;
  }

  async #attempt(run: JobRun, device: JobDevice): Promise<Attempt> {
    const { store, server } = this.#options;
    const { id } = run.job;
    try {
      const task = await this.#taskOf(run.job, device);
      using following = this.#throughput.follow(run.job);
      const outcome = await run.train(task, async (progress) => {
        const isOurs = await this.#persistently(() => store.progress(id, server, progress));
        if (isOurs) following.tell(progress);
        this.#listeners.tell(id);
        return isOurs;
      });
      return { outcome };
    } catch (error) {
      return { error };
    }
  }

  async #taskOf(job: Job, device: JobDevice): Promise<JobTask> {
    const { id, recipe, step, trainedTokens, attempts, plan } = job;
    const checkpoints = await this.#persistently(() => this.#options.store.checkpoints(id));
    return {
      recipe,
      folder: this.folder(id),
      presetDirectory: this.#presetDirectory,
      device: device.name,
      threads: Math.max(1, Math.floor(physicalCores() / Math.max(1, this.#runs.size))),
      maxSteps: plan.maxSteps,
      known: { step, trainedTokens, attempts, checkpoints: checkpoints.map((checkpoint) => checkpoint.step) },
    };
  }

  async #requestStop(id: string, owner: string, wish: 'paused' | 'cancelled', graceMs: number): Promise<Job> {
    await this.#checkOwner(id, owner);
    const job = await this.#options.store.requestStop(id, wish);
    this.#listeners.tell(id);
    await this.#claim(); // one that was claimed a moment ago runs by then, and one that is gone may let others pass
    this.#end(job, wish, graceMs);
    return job;
  }

  #end({ id, status }: Job, wish: Wish, graceMs: number): void {
    if (status === 'running') this.#runs.get(id)?.run.end(wish, graceMs);
  }

  async #renewUntilEnded(): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      await wait(this.#options.renewMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#renew();
    }
  }

  #retain(): void {
    const { store, directory, retention, onProblem } = this.#options;
    if (retention === undefined) return;
    this.#retaining = this.#retaining
      .then(() => retain(store, join(directory, 'jobs'), retention, onProblem))
      .catch(onProblem);
  }

  /** Tells others that this server is alive, and looks for what others have done. */
  async #renew(): Promise<void> {
    const { store, server, lostAfterMs, pauseGraceMs, onProblem } = this.#options;
    try {
      await store.renew(server);
      if (this.#closing !== undefined) return;
      await store.requeueLost(server, lostAfterMs);
      for (const id of this.#runs.keys()) {
        const job = await store.get(id);
        if (job?.stopRequest !== undefined)
          this.#end(job, job.stopRequest, job.stopRequest === 'paused' ? pauseGraceMs : 0);
      }
      // Nobody tells what jobs of other servers do.
      for (const id of this.#listeners.jobs) if (!this.#runs.has(id)) this.#listeners.tell(id);
      await this.#claim();
    } catch (error) {
      onProblem(error);
    }
  }

  #persistently<T>(work: () => Promise<T>): Promise<T> {
    return persistently(work, this.#givingUp.signal, this.#options.onProblem);
  }

  async #checkOwner(id: string, owner: string): Promise<void> {
    if ((await this.#options.store.get(id, owner)) === undefined) throw unknownJob(id);
  }
}

const unknownJob = (id: string): Error =>
  compactError('ERR_COMPACT_JOB_UNKNOWN', 'there is no such job', { op: 'id', received: id });
