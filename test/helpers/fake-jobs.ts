/** Jobs of which nothing is trained: a test plays each through its states. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compactError } from '../../lib/errors.js';
import type { Fit } from '../../lib/jobs/device-memory.js';
import {
  finalStatuses,
  type Job,
  type JobCheckpoint,
  type JobEvent,
  type JobPlan,
  type JobRequest,
  type JobStatus,
  type Labels,
  type NewJobEvent,
} from '../../lib/jobs/job.js';
import type { JobService, JobServiceStatus } from '../../lib/jobs/job-service.js';
import type { JobListOptions, Page } from '../../lib/jobs/job-store.js';

interface Entry {
  job: Job;
  readonly needs: readonly string[];
  readonly labels: Labels;
  readonly idempotencyKey: string | undefined;
  readonly request: string;
  readonly events: JobEvent[];
  readonly checkpoints: JobCheckpoint[];
}

const plan: JobPlan = {
  device: 'cpu',
  plannedBytes: 1_000_000,
  overheadBytes: 0,
  numParameters: 1234,
  maxSteps: 10,
  numTokens: 5000,
  bytesByKind: {},
  denseBytesByKind: {},
};

export class FakeJobs implements JobService {
  /** What a plan throws instead of being made. */
  refusal: Error | undefined;
  /** How plans fit. */
  fit: Fit = 'now';
  /** What plans wait for. */
  gate: Promise<void> | undefined;
  /** Plans that have begun. */
  numPlans = 0;
  /** Events that were read, in their order. */
  numEventsRead = 0;
  readonly #directory: string;
  readonly #entries = new Map<string, Entry>();
  readonly #retired = new Set<string>();
  readonly #listeners = new Map<string, Set<() => void>>();
  #numJobs = 0;

  /** @param directory of the folders of jobs */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async plan(): Promise<JobPlan> {
    this.numPlans++;
    await this.gate;
    if (this.refusal !== undefined) throw this.refusal;
    return plan;
  }

  fitOf(): Fit {
    return this.fit;
  }

  async wasCreated(owner: string, key: string): Promise<boolean> {
    return [...this.#entries.values()].some(
      ({ idempotencyKey, job }) => idempotencyKey === key && job.owner === owner,
    );
  }

  async create(request: JobRequest, idempotencyKey?: string): Promise<Job> {
    await this.plan();
    const text = JSON.stringify(request);
    const known = [...this.#entries.values()].find(
      (entry) =>
        idempotencyKey !== undefined &&
        entry.idempotencyKey === idempotencyKey &&
        entry.job.owner === request.owner,
    );
    if (known !== undefined && known.request !== text)
      throw compactError('ERR_COMPACT_JOB_STATE', `the job ${known.job.id} was created with the same key`);
    if (known !== undefined) return known.job;
    const id = `job-${String(++this.#numJobs).padStart(6, '0')}`;
    const { needs = [], labels = {}, ...asked } = JSON.parse(text) as JobRequest;
    if (needs.some((name) => this.#retired.has(name)))
      throw compactError('ERR_COMPACT_JOB_STATE', 'what the job needs has been deleted');
    const job: Job = {
      ...asked,
      ...{ id, plan, status: 'queued', stopRequest: undefined, createdAt: Date.now() },
      ...{ startedAt: undefined, finishedAt: undefined, attempts: 0, losses: 0, step: 0, trainedTokens: 0 },
      ...{ error: undefined, result: undefined },
    };
    this.#entries.set(id, { job, needs, labels, idempotencyKey, request: text, events: [], checkpoints: [] });
    mkdirSync(this.folder(id), { recursive: true });
    this.tell(id, { level: 'info', type: 'message', message: 'Job is queued', data: {} });
    return job;
  }

  async get(id: string, owner: string): Promise<Job | undefined> {
    return this.#of(id, owner)?.job;
  }

  async list(owner: string, { after, limit, labels = {} }: JobListOptions): Promise<Page<Job>> {
    const isWanted = ({ job, labels: own }: Entry): boolean =>
      job.owner === owner &&
      (labels === null
        ? Object.keys(own).length === 0
        : Object.entries(labels).every(([name, value]) => own[name] === value));
    const all = [...this.#entries.values()].filter(isWanted).map(({ job }) => job);
    const latest = all.toReversed();
    const start = after === undefined ? 0 : latest.findIndex(({ id }) => id === after) + 1;
    return { items: latest.slice(start, start + limit), hasMore: start + limit < latest.length };
  }

  async count(owner: string): Promise<Readonly<Record<JobStatus, number>>> {
    const counts = { queued: 0, running: 0, paused: 0, succeeded: 0, failed: 0, cancelled: 0 };
    for (const { job } of this.#entries.values()) if (job.owner === owner) counts[job.status]++;
    return counts;
  }

  /** As of a server with one device, on which what runs takes what its plan says. */
  async status(owner: string): Promise<JobServiceStatus> {
    const all = [...this.#entries.values()].map(({ job }) => job);
    const counts = { queued: 0, running: 0, paused: 0, succeeded: 0, failed: 0, cancelled: 0 };
    for (const { status } of all) counts[status]++;
    const running = all.filter(({ status }) => status === 'running');
    const waiting = all.filter(({ status }) => status === 'queued').map(({ createdAt }) => createdAt);
    const plannedBytes = running.length * plan.plannedBytes;
    return {
      devices: [
        { name: 'cpu', memoryBytes: 10_000_000, capacityBytes: 20_000_000, takenBytes: plannedBytes },
      ],
      ...{ counts, plannedBytes },
      waitingSince: waiting.length === 0 ? undefined : Math.min(...waiting),
      runningJobs: running.filter((job) => job.owner === owner).map(({ id }) => id),
      throughput: {
        steps: all.reduce((sum, { step }) => sum + step, 0),
        trainedTokens: all.reduce((sum, { trainedTokens }) => sum + trainedTokens, 0),
        tokensPerSecond: 250 * running.length,
        secondsPerStep: running.length === 0 ? undefined : 2,
      },
    };
  }

  async retire(name: string): Promise<string | undefined> {
    const user = [...this.#entries.values()].find(
      ({ needs, job }) => needs.includes(name) && !finalStatuses.includes(job.status),
    );
    if (user === undefined) this.#retired.add(name);
    return user?.job.id;
  }

  async removeModel(id: string, owner: string): Promise<Job> {
    const { job, checkpoints } = this.#of(id, owner)!;
    checkpoints.length = 0;
    rmSync(this.folder(id), { recursive: true, force: true });
    const { step } = job.result!;
    return this.change(id, { result: { step } }, 'The model of the job is deleted');
  }

  cancel(id: string, owner: string): Promise<Job> {
    return this.#stop(id, owner, 'cancelled');
  }

  pause(id: string, owner: string): Promise<Job> {
    return this.#stop(id, owner, 'paused');
  }

  async resume(id: string, owner: string): Promise<Job> {
    const { job } = this.#known(id, owner);
    if (job.status !== 'paused' && job.status !== 'failed') throw wrongState(job);
    return this.change(id, { status: 'queued' }, 'Job is queued again');
  }

  async events(id: string, owner: string, { after = 0, limit }: { after?: number; limit: number }) {
    const events = this.#known(id, owner).events.filter((event) => event.id > after);
    this.numEventsRead += Math.min(limit, events.length);
    return events.slice(0, limit);
  }

  async latestEvents(
    id: string,
    owner: string,
    { before = Infinity, limit }: { before?: number; limit: number },
  ) {
    const events = this.#known(id, owner).events.filter((event) => event.id < before);
    return events.toReversed().slice(0, limit);
  }

  async checkpoints(id: string, owner: string): Promise<readonly JobCheckpoint[]> {
    return this.#known(id, owner).checkpoints;
  }

  watch(id: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** How many watch any job. */
  get numWatchers(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  folder(id: string): string {
    return join(this.#directory, id);
  }

  /** The only job, or the latest. */
  get latest(): Job {
    return [...this.#entries.values()].at(-1)!.job;
  }

  /** Something happens to a job. */
  tell(id: string, event: NewJobEvent): void {
    const { events } = this.#entries.get(id)!;
    events.push({ ...event, id: events.length + 1, createdAt: Date.now() });
    for (const listener of this.#listeners.get(id) ?? []) listener();
  }

  /** A job becomes another, and an event tells of it. */
  change(id: string, changes: Partial<Job>, message: string): Job {
    const entry = this.#entries.get(id)!;
    entry.job = { ...entry.job, ...changes };
    this.tell(id, { level: 'info', type: 'message', message, data: {} });
    return entry.job;
  }

  /** A step of a running job, with its metrics, and a checkpoint after it. */
  step(id: string, step: number, metrics: Readonly<Record<string, number>>): void {
    const entry = this.#entries.get(id)!;
    entry.job = { ...entry.job, step, trainedTokens: step * 500 };
    entry.checkpoints.push({ step, createdAt: Date.now(), path: `output/checkpoint-${step}`, metrics });
    const data = { step, ...metrics };
    this.tell(id, { level: 'info', type: 'metrics', message: `Step ${step}`, data });
  }

  start(id: string): void {
    this.change(id, { status: 'running', startedAt: Date.now() - 1000, attempts: 1 }, 'Job runs');
  }

  succeed(id: string, result: NonNullable<Job['result']>): Job {
    return this.change(id, { status: 'succeeded', finishedAt: Date.now(), result }, 'Job has succeeded');
  }

  async #stop(id: string, owner: string, status: 'paused' | 'cancelled'): Promise<Job> {
    const { job } = this.#known(id, owner);
    if (finalStatuses.includes(job.status) || job.status === status) throw wrongState(job);
    const finishedAt = status === 'cancelled' ? Date.now() : undefined;
    return this.change(id, { status, finishedAt }, `Job is ${status}`);
  }

  #of(id: string, owner: string): Entry | undefined {
    const entry = this.#entries.get(id);
    return entry?.job.owner === owner ? entry : undefined;
  }

  #known(id: string, owner: string): Entry {
    const entry = this.#of(id, owner);
    if (entry === undefined) throw compactError('ERR_COMPACT_JOB_UNKNOWN', `there is no job ${id}`);
    return entry;
  }
}

const wrongState = ({ id, status }: Job): Error =>
  compactError('ERR_COMPACT_JOB_STATE', `the job ${id} is ${status}`);
