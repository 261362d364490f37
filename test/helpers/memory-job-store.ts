import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { compactError } from '../../lib/errors.js';
import type { Fit } from '../../lib/jobs/device-memory.js';
import { finalStatuses, jobStatuses } from '../../lib/jobs/job.js';
import type {
  Job,
  JobCheckpoint,
  JobEvent,
  JobPlan,
  JobRequest,
  JobStatus,
  NewJobEvent,
} from '../../lib/jobs/job.js';
import type { JobEnd, JobProgress, JobStore, Page } from '../../lib/jobs/job-store.js';

interface Row {
  job: Job;
  readonly key: string | undefined;
  readonly needs: readonly string[];
  server: string | undefined;
  readonly events: JobEvent[];
  readonly checkpoints: JobCheckpoint[];
}

/** The first of a list in the order in which jobs begin. */
const first = (rows: readonly Row[]): Row | undefined =>
  rows.toSorted((a, b) => b.job.priority - a.job.priority)[0];

/** A store of one server: in memory, or where a path is given in a file that is written whole with every change. */
export class MemoryJobStore implements JobStore {
  readonly #path: string | undefined;
  readonly #rows: Row[] = [];
  readonly #retired = new Set<string>();

  constructor(path?: string) {
    this.#path = path;
    try {
      if (path !== undefined) this.#rows = JSON.parse(readFileSync(path, 'utf8')) as Row[];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  async wasCreated(owner: string, key: string): Promise<boolean> {
    return this.#rows.some((row) => row.key === key && row.job.owner === owner);
  }

  async create(asked: JobRequest, plan: JobPlan, key?: string): Promise<Job> {
    const { needs = [], labels: _, ...request } = asked;
    const same = this.#rows.find(
      (row) => key !== undefined && row.key === key && row.job.owner === request.owner,
    );
    if (same !== undefined) return same.job;
    if (needs.some((name) => this.#retired.has(name)))
      throw compactError('ERR_COMPACT_JOB_STATE', 'what the job needs has been deleted');
    const job: Job = {
      ...request,
      id: `job-${this.#rows.length + 1}`,
      status: 'queued',
      stopRequest: undefined,
      plan,
      createdAt: Date.now(),
      startedAt: undefined,
      finishedAt: undefined,
      ...{ attempts: 0, losses: 0, step: 0, trainedTokens: 0 },
      ...{ error: undefined, result: undefined },
    };
    this.#rows.push({ job, key, needs, server: undefined, events: [], checkpoints: [] });
    return this.#changed(job.id, {}, told('The job is created'));
  }

  async get(id: string, owner?: string): Promise<Job | undefined> {
    return this.#rows.find(({ job }) => job.id === id && (owner === undefined || job.owner === owner))?.job;
  }

  async list({ owner, after, limit }: { owner?: string; after?: string; limit: number }): Promise<Page<Job>> {
    const all = this.#rows.map(({ job }) => job).filter((job) => owner === undefined || job.owner === owner);
    const latest = all.toReversed();
    const from = after === undefined ? 0 : latest.findIndex(({ id }) => id === after) + 1;
    return { items: latest.slice(from, from + limit), hasMore: latest.length > from + limit };
  }

  async count(owner?: string): Promise<Readonly<Record<JobStatus, number>>> {
    const all = (await this.list({ ...(owner !== undefined && { owner }), limit: Infinity })).items;
    const numOf = (status: JobStatus): number => all.filter((job) => job.status === status).length;
    return Object.fromEntries(jobStatuses.map((status) => [status, numOf(status)])) as Record<
      JobStatus,
      number
    >;
  }

  async waitingSince(): Promise<number | undefined> {
    const waiting = this.#rows.filter(({ job }) => job.status === 'queued');
    const times = waiting.map(({ events }) => events.at(-1)!.createdAt);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async claim(server: string, fitOf: (plan: JobPlan) => Fit): Promise<Job | undefined> {
    const row = first(this.#rows.filter(({ job }) => job.status === 'queued'));
    const fit = row && fitOf(row.job.plan);
    if (row !== undefined && fit === 'never') {
      const error = { code: 'ERR_COMPACT_DOES_NOT_FIT', what: 'it never fits' };
      this.#changed(row.job.id, { status: 'failed', error, finishedAt: Date.now() }, told('It never fits'));
      return this.claim(server, fitOf);
    }
    if (row === undefined || fit !== 'now') return undefined;
    row.server = server;
    const { startedAt, attempts } = row.job;
    const change = { status: 'running', startedAt: startedAt ?? Date.now(), attempts: attempts + 1 } as const;
    return this.#changed(row.job.id, change, told('The job begins'));
  }

  async renew(): Promise<void> {}

  async requeueLost(server: string, _timeoutMs = 0): Promise<readonly Job[]> {
    const lost = this.#rows.filter((row) => row.job.status === 'running' && row.server !== server);
    return lost.map((row) => {
      row.server = undefined;
      return this.#changed(row.job.id, { status: 'queued' }, told('The server of the job was lost', 'warn'));
    });
  }

  async progress(id: string, server: string, progress: JobProgress): Promise<boolean> {
    const row = this.#row(id);
    const { job } = row;
    if (job.status !== 'running' || row.server !== server) return false;
    const isNew = ({ type, data }: NewJobEvent): boolean =>
      type !== 'metrics' || Number(data['step']) > job.step;
    const { checkpoint, step, trainedTokens } = progress;
    if (checkpoint !== undefined && !row.checkpoints.some((known) => known.step === checkpoint.step))
      row.checkpoints.push({ ...checkpoint, createdAt: Date.now() });
    const change = {
      ...(step > job.step && { step, trainedTokens }),
      ...(checkpoint !== undefined && { losses: 0 }),
    };
    this.#changed(id, change, ...progress.events.filter(isNew));
    return true;
  }

  async finish(id: string, server: string, end: JobEnd, event: NewJobEvent): Promise<Job | undefined> {
    const row = this.#row(id);
    if (row.job.status !== 'running' || row.server !== server) return undefined;
    row.server = undefined;
    const hasEnded = !['queued', 'paused'].includes(end.status);
    const isStopped = end.status === row.job.stopRequest || hasEnded;
    const change = {
      losses: end.status === 'queued' ? row.job.losses : 0,
      ...end,
      ...(isStopped && { stopRequest: undefined }),
      ...(hasEnded && { finishedAt: Date.now() }),
    };
    return this.#changed(id, change, event);
  }

  async requestStop(id: string, status: 'paused' | 'cancelled'): Promise<Job> {
    const { job } = this.#row(id);
    const isPaused = job.status === 'paused' && status === 'paused';
    if (isPaused || !['queued', 'running', 'paused'].includes(job.status)) throw wrongState(job);
    const change = job.status === 'running' ? { stopRequest: status } : { status };
    return this.#changed(id, change, told(`The job is to be ${status}`));
  }

  async resume(id: string): Promise<Job> {
    const { job } = this.#row(id);
    if (job.status !== 'paused' && job.status !== 'failed') throw wrongState(job);
    return this.#changed(id, { status: 'queued', error: undefined }, told('The job is resumed'));
  }

  async retire(name: string): Promise<string | undefined> {
    const user = this.#rows.find(
      ({ needs, job }) => needs.includes(name) && !finalStatuses.includes(job.status),
    );
    if (user === undefined) this.#retired.add(name);
    return user?.job.id;
  }

  async forgetModel(id: string): Promise<Job> {
    const { job } = this.#row(id);
    if (job.status !== 'succeeded') throw wrongState(job);
    const { step, loss, evalLoss } = job.result!;
    return this.#changed(id, { result: { step, loss, evalLoss } }, told('The model is deleted'));
  }

  async events(
    id: string,
    { after = 0, limit }: { after?: number; limit: number },
  ): Promise<readonly JobEvent[]> {
    return this.#row(id)
      .events.filter((event) => event.id > after)
      .slice(0, limit);
  }

  async latestEvents(
    id: string,
    { before = Infinity, limit }: { before?: number; limit: number },
  ): Promise<readonly JobEvent[]> {
    return this.#row(id)
      .events.filter((event) => event.id < before)
      .toReversed()
      .slice(0, limit);
  }

  async checkpoints(id: string): Promise<readonly JobCheckpoint[]> {
    return [...this.#row(id).checkpoints];
  }

  async compact(): Promise<readonly string[]> {
    return [];
  }

  #row(id: string): Row {
    const row = this.#rows.find(({ job }) => job.id === id);
    if (row === undefined) throw compactError('ERR_COMPACT_JOB_UNKNOWN', 'there is no such job', { op: id });
    return row;
  }

  #changed(id: string, change: Partial<Job>, ...events: readonly NewJobEvent[]): Job {
    const row = this.#row(id);
    row.job = { ...row.job, ...change };
    for (const event of events)
      row.events.push({ ...event, id: row.events.length + 1, createdAt: Date.now() });
    if (this.#path !== undefined) {
      writeFileSync(`${this.#path}.new`, JSON.stringify(this.#rows));
      renameSync(`${this.#path}.new`, this.#path);
    }
    return row.job;
  }
}

const told = (message: string, level: NewJobEvent['level'] = 'info'): NewJobEvent => ({
  ...{ level, message },
  type: 'message',
  data: {},
});

const wrongState = ({ id, status }: Job): Error =>
  compactError('ERR_COMPACT_JOB_STATE', `the job ${id} is ${status}`, { op: id, received: status });
