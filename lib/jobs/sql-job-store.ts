import { isDeepStrictEqual } from 'node:util';
import { compactError } from '../errors.js';
import { checkValue, wholeNumber } from '../options.js';
import { bytesOf, type Fit } from './device-memory.js';
import type { Database, SqlRow, SqlValue, Transaction } from './database.js';
import {
  lostEvent,
  modelDeletedEvent,
  neverFitsEvent,
  statusEvent,
  stopRequestEvents,
} from './job-events.js';
import { endedWithMoreMetrics, forgetEnded, thinMetrics } from './forget-jobs.js';
import { isJobId } from './job-id.js';
import { checkNeeds, needsOf, retireName } from './job-needs.js';
import { checkpointOf, eventOf, jobOf, storedJobOf, written } from './job-rows.js';
import type { StoredJob } from './job-rows.js';
import { afterAttempt, afterStopRequest, checkResumable, checkSucceeded } from './job-states.js';
import type { JobEnd, JobListOptions, JobProgress, JobStore, Page } from './job-store.js';
import { finalStatuses, jobStatuses } from './job.js';
import type {
  Job,
  JobCheckpoint,
  JobError,
  JobEvent,
  JobPlan,
  JobRequest,
  JobStatus,
  NewJobEvent,
} from './job.js';
import { withMetrics } from './last-metrics.js';
import { migrate } from './migrate.js';
import { jobMigrations } from './schema.js';
import { ServerWatch } from './server-watch.js';
import { insertJob, insertNames, keepCheckpoint, newJob, saveJob } from './write-jobs.js';

/** Jobs in the tables of schema.ts. Whoever changes a job holds its row, so the ids of its events have no gaps. */
export class SqlJobStore implements JobStore {
  readonly #database: Database;
  readonly #watch = new ServerWatch();

  private constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Makes the tables where there are none. The database stays the caller's to close.
   * @throws ERR_COMPACT_STORE when it cannot be used, or is of a newer version
   */
  static async open(database: Database): Promise<SqlJobStore> {
    await migrate(database, 'jobs', jobMigrations);
    return new SqlJobStore(database);
  }

  create(request: JobRequest, plan: JobPlan, idempotencyKey?: string): Promise<Job> {
    return this.#database.transaction(async (transaction) => {
      // Whoever else creates a job waits here, and then sees this one.
      const [counted] = await transaction.query(
        'UPDATE compact_job_sequence SET value = value + 1 RETURNING value',
      );
      if (idempotencyKey !== undefined) {
        const [row] = await transaction.query(
          'SELECT * FROM compact_jobs WHERE owner = $1 AND idempotency_key = $2',
          [request.owner, idempotencyKey],
        );
        if (row !== undefined) return sameJob(storedJobOf(row), request, idempotencyKey);
      }
      await checkNeeds(transaction, request.needs ?? []);
      const job = newJob(Number(counted!.value), request, plan);
      await insertJob(transaction, job, idempotencyKey);
      await insertNames(transaction, job, request);
      return saveJob(transaction, job, [statusEvent('queued')]);
    });
  }

  async wasCreated(owner: string, idempotencyKey: string): Promise<boolean> {
    const rows = await this.#database.query(
      'SELECT id FROM compact_jobs WHERE owner = $1 AND idempotency_key = $2',
      [owner, idempotencyKey],
    );
    return rows.length > 0;
  }

  async get(id: string, owner?: string): Promise<Job | undefined> {
    if (!isJobId(id)) return undefined;
    const [row] = await this.#database.query('SELECT * FROM compact_jobs WHERE id = $1', [id]);
    if (row === undefined || (owner !== undefined && row.owner !== owner)) return undefined;
    return jobOf(storedJobOf(row));
  }

  /** @throws ERR_COMPACT_JOB_UNKNOWN where there is no job that the page would come after */
  async list({ owner, after, limit, labels = {} }: JobListOptions & { owner?: string }): Promise<Page<Job>> {
    checkLimit(limit);
    const parameters: SqlValue[] = [limit + 1];
    const conditions: string[] = [];
    const place = (value: SqlValue): string => `$${parameters.push(value)}`;
    if (owner !== undefined) conditions.push(`owner = ${place(owner)}`);
    if (after !== undefined) conditions.push(`sequence < ${place(await this.#sequenceOf(after, owner))}`);
    const ofJob = 'SELECT job FROM compact_job_labels WHERE job = sequence';
    if (labels === null) conditions.push(`NOT EXISTS (${ofJob})`);
    for (const [name, value] of Object.entries(labels ?? {}))
      conditions.push(
        `EXISTS (${ofJob} AND name = ${place(written(name))} AND value = ${place(written(value))})`,
      );
    const rows = await this.#database.query(
      `SELECT * FROM compact_jobs ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
       ORDER BY sequence DESC LIMIT $1`,
      parameters,
    );
    const items = rows.slice(0, limit).map((row) => jobOf(storedJobOf(row)));
    return { items, hasMore: rows.length > limit };
  }

  async count(owner?: string): Promise<Readonly<Record<JobStatus, number>>> {
    const isOwned = owner !== undefined;
    const rows = await this.#database.query(
      `SELECT status, COUNT(*) AS jobs FROM compact_jobs ${isOwned ? 'WHERE owner = $1' : ''} GROUP BY status`,
      isOwned ? [owner] : [],
    );
    const counts = new Map(rows.map(({ status, jobs }) => [status, Number(jobs)]));
    return Object.fromEntries(jobStatuses.map((status) => [status, counts.get(status) ?? 0])) as Record<
      JobStatus,
      number
    >;
  }

  /** Nothing happens to a job that waits: its last event is that it was queued. */
  async waitingSince(): Promise<number | undefined> {
    const [row] = await this.#database.query(
      `SELECT MIN(events.created_at) AS since FROM compact_jobs JOIN compact_job_events events
         ON events.job = compact_jobs.sequence AND events.id = compact_jobs.num_events
       WHERE status = 'queued'`,
    );
    const since = row?.since ?? undefined;
    return since === undefined ? undefined : Number(since);
  }

  claim(server: string, fitOf: (plan: JobPlan) => Fit): Promise<Job | undefined> {
    return this.#database.transaction(async (transaction) => {
      const job = await this.#firstFitting(transaction, fitOf);
      if (job === undefined) return undefined;
      const attempts = job.attempts + 1;
      const startedAt = job.startedAt ?? Date.now();
      const event = statusEvent('running', { attempt: attempts });
      return saveJob(transaction, { ...job, status: 'running', server, attempts, startedAt }, [event]);
    });
  }

  async renew(server: string): Promise<void> {
    // A database that is not shared has no other server that could ask.
    if (!this.#database.isShared) return;
    await this.#database.query(
      `INSERT INTO compact_job_servers (name, beats) VALUES ($1, 1)
       ON CONFLICT (name) DO UPDATE SET beats = compact_job_servers.beats + 1`,
      [server],
    );
  }

  async requeueLost(server: string, timeoutMs: number): Promise<readonly Job[]> {
    const beats = await this.#beatsOfOthers(server);
    const lost = this.#database.isShared
      ? this.#watch.lost(beats, timeoutMs, performance.now())
      : [...beats.keys()];
    const jobs: Job[] = [];
    for (const name of lost) jobs.push(...(await this.#takeFrom(name, beats.get(name)!)));
    return jobs;
  }

  progress(
    id: string,
    server: string,
    { step, trainedTokens, events, checkpoint }: JobProgress,
  ): Promise<boolean> {
    return this.#database.transaction(async (transaction) => {
      const job = await this.#runningJob(transaction, id, server);
      if (job === undefined) return false;
      let { lastMetrics } = job;
      const news: NewJobEvent[] = [];
      for (const event of events) {
        const metrics = event.type === 'metrics' ? withMetrics(lastMetrics, event) : lastMetrics;
        if (metrics === undefined) continue;
        lastMetrics = metrics;
        news.push(event);
      }
      if (checkpoint !== undefined) await keepCheckpoint(transaction, job, checkpoint);
      const done = {
        step: Math.max(job.step, step),
        trainedTokens: Math.max(job.trainedTokens, trainedTokens),
      };
      const losses = checkpoint === undefined ? job.losses : 0;
      await saveJob(transaction, { ...job, ...done, losses, lastMetrics }, news);
      return true;
    });
  }

  finish(id: string, server: string, end: JobEnd, event: NewJobEvent): Promise<Job | undefined> {
    return this.#database.transaction(async (transaction) => {
      const job = await this.#runningJob(transaction, id, server);
      if (job === undefined) return undefined;
      const status = afterAttempt(job, end.status);
      const losses = (end.status === 'queued' ? end.losses : 0) ?? job.losses;
      const ended = {
        ...inStatus({ ...job, losses }, status),
        error: end.status === 'failed' ? end.error : undefined,
        result: end.status === 'succeeded' ? end.result : undefined,
      };
      // What came of it is another thing than the event tells of, when somebody asked for that meanwhile.
      return saveJob(transaction, ended, status === end.status ? [event] : [event, statusEvent(status)]);
    });
  }

  requestStop(id: string, request: 'paused' | 'cancelled'): Promise<Job> {
    return this.#database.transaction(async (transaction) => {
      const job = await this.#job(transaction, id);
      const { status, stopRequest } = afterStopRequest(job, request);
      if (status !== 'running') return saveJob(transaction, inStatus(job, status), [statusEvent(status)]);
      if (stopRequest === job.stopRequest) return jobOf(job);
      return saveJob(transaction, { ...job, stopRequest }, [stopRequestEvents[request]]);
    });
  }

  resume(id: string): Promise<Job> {
    return this.#database.transaction(async (transaction) => {
      await this.#holdNeeds(transaction);
      const job = await this.#job(transaction, id);
      checkResumable(job);
      await checkNeeds(transaction, await needsOf(transaction, job));
      const queued = { ...inStatus(job, 'queued'), error: undefined };
      return saveJob(transaction, queued, [statusEvent('queued')]);
    });
  }

  retire(name: string): Promise<string | undefined> {
    return this.#database.transaction(async (transaction) => {
      await this.#holdNeeds(transaction);
      return await retireName(transaction, name);
    });
  }

  forgetModel(id: string): Promise<Job> {
    return this.#database.transaction(async (transaction) => {
      const job = await this.#job(transaction, id);
      checkSucceeded(job);
      const { folder, adapters, checkpoint, ...left } = job.result!;
      if ((folder ?? adapters ?? checkpoint) === undefined) return jobOf(job);
      return saveJob(transaction, { ...job, result: left }, [modelDeletedEvent]);
    });
  }

  async events(
    id: string,
    { after = 0, limit }: { after?: number; limit: number },
  ): Promise<readonly JobEvent[]> {
    checkLimit(limit);
    const rows = await this.#rowsOf(
      id,
      `SELECT rows.* FROM compact_job_events rows JOIN compact_jobs ON job = sequence
       WHERE compact_jobs.id = $1 AND rows.id > $2 ORDER BY rows.id LIMIT $3`,
      [after, limit],
    );
    return rows.map(eventOf);
  }

  async latestEvents(
    id: string,
    { before = Number.MAX_SAFE_INTEGER, limit }: { before?: number; limit: number },
  ): Promise<readonly JobEvent[]> {
    checkLimit(limit);
    const rows = await this.#rowsOf(
      id,
      `SELECT rows.* FROM compact_job_events rows JOIN compact_jobs ON job = sequence
       WHERE compact_jobs.id = $1 AND rows.id < $2 ORDER BY rows.id DESC LIMIT $3`,
      [before, limit],
    );
    return rows.map(eventOf);
  }

  async checkpoints(id: string): Promise<readonly JobCheckpoint[]> {
    const rows = await this.#rowsOf(
      id,
      `SELECT rows.* FROM compact_job_checkpoints rows JOIN compact_jobs ON job = sequence
       WHERE compact_jobs.id = $1 ORDER BY rows.step`,
    );
    return rows.map(checkpointOf);
  }

  async compact({
    endedBefore,
    maxEvents,
  }: {
    endedBefore: number;
    maxEvents: number;
  }): Promise<readonly string[]> {
    checkValue(maxEvents, wholeNumber(0), 'maxEvents');
    const forgotten = await forgetEnded(this.#database, endedBefore);
    for (const id of await endedWithMoreMetrics(this.#database, maxEvents))
      await this.#database.transaction(async (transaction) => {
        const job = await this.#find(transaction, id);
        if (job !== undefined && finalStatuses.includes(job.status))
          await thinMetrics(transaction, job, maxEvents);
      });
    return forgotten;
  }

  /** Where others share the database: rows that one of them holds are passed over, or waited for. */
  get #holdingFree(): string {
    return this.#database.isShared ? 'FOR UPDATE SKIP LOCKED' : '';
  }

  get #holding(): string {
    return this.#database.isShared ? 'FOR UPDATE' : '';
  }

  /** Whoever makes a job need something, or retires that, waits here for others, and then sees what they did. */
  async #holdNeeds(transaction: Transaction): Promise<void> {
    await transaction.query(`SELECT value FROM compact_job_sequence ${this.#holding}`);
  }

  /** The first of the queue, but for those that are not for this server; nothing when it has to wait. */
  async #firstFitting(
    transaction: Transaction,
    fitOf: (plan: JobPlan) => Fit,
  ): Promise<StoredJob | undefined> {
    for (let after: StoredJob | undefined; ;) {
      const [row] = await transaction.query(
        `SELECT * FROM compact_jobs WHERE status = 'queued'
         ${after === undefined ? '' : 'AND (priority < $1 OR (priority = $1 AND sequence > $2))'}
         ORDER BY priority DESC, sequence LIMIT 1 ${this.#holdingFree}`,
        after === undefined ? [] : [after.priority, after.sequence],
      );
      const job = row && storedJobOf(row);
      const fit = job && fitOf(job.plan);
      const isForOthers = this.#database.isShared && (fit === 'crowded' || fit === 'never');
      if (!isForOthers && fit !== 'never') return fit === 'now' ? job : undefined;
      after = job!;
      if (isForOthers) continue;
      const error = neverFits(after.plan);
      await saveJob(transaction, { ...inStatus(after, 'failed'), error }, [
        neverFitsEvent(error, after.plan),
      ]);
    }
  }

  /** @throws ERR_COMPACT_JOB_UNKNOWN */
  async #job(transaction: Transaction, id: string): Promise<StoredJob> {
    const job = await this.#find(transaction, id);
    if (job === undefined) throw unknownJob(id);
    return job;
  }

  async #find(transaction: Transaction, id: string): Promise<StoredJob | undefined> {
    if (!isJobId(id)) return undefined;
    const [row] = await transaction.query(`SELECT * FROM compact_jobs WHERE id = $1 ${this.#holding}`, [id]);
    return row && storedJobOf(row);
  }

  async #runningJob(transaction: Transaction, id: string, server: string): Promise<StoredJob | undefined> {
    const job = await this.#find(transaction, id);
    return job?.status === 'running' && job.server === server ? job : undefined;
  }

  async #sequenceOf(id: string, owner: string | undefined): Promise<number> {
    const [row] = await this.#rowsOf(id, 'SELECT sequence, owner FROM compact_jobs WHERE id = $1');
    if (row === undefined || (owner !== undefined && row.owner !== owner)) throw unknownJob(id);
    return Number(row.sequence);
  }

  async #rowsOf(id: string, sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    return isJobId(id) ? this.#database.query(sql, [id, ...parameters]) : [];
  }

  /** Of all servers but one: how often each has renewed; 0 for one that has jobs and never did. */
  async #beatsOfOthers(server: string): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#database.query(
      `SELECT server AS name, 0 AS beats FROM compact_jobs WHERE status = 'running' AND server <> $1
       UNION ALL SELECT name, beats FROM compact_job_servers WHERE name <> $1`,
      [server],
    );
    const beats = new Map<string, number>();
    for (const row of rows) {
      const name = String(row.name);
      beats.set(name, Math.max(Number(row.beats), beats.get(name) ?? 0));
    }
    return beats;
  }

  /** Puts the jobs of a server back, unless it has renewed since. */
  #takeFrom(server: string, beats: number): Promise<readonly Job[]> {
    return this.#database.transaction(async (transaction) => {
      const [row] = await transaction.query(
        `SELECT beats FROM compact_job_servers WHERE name = $1 ${this.#holding}`,
        [server],
      );
      if (Number(row?.beats ?? 0) !== beats) return [];
      await transaction.query('DELETE FROM compact_job_servers WHERE name = $1', [server]);
      const rows = await transaction.query(
        `SELECT * FROM compact_jobs WHERE status = 'running' AND server = $1
         ORDER BY sequence ${this.#holdingFree}`,
        [server],
      );
      const jobs: Job[] = [];
      for (const lost of rows.map(storedJobOf)) {
        const status = afterAttempt(lost, 'queued');
        jobs.push(await saveJob(transaction, inStatus(lost, status), [lostEvent, statusEvent(status)]));
      }
      return jobs;
    });
  }
}

/**
 * The job that a request has made before.
 * @throws ERR_COMPACT_JOB_STATE when it was another request
 */
function sameJob(job: StoredJob, { recipe, priority, details }: JobRequest, key: string): Job {
  const asked = JSON.parse(JSON.stringify({ recipe, priority, details })) as unknown;
  if (isDeepStrictEqual(asked, { recipe: job.recipe, priority: job.priority, details: job.details }))
    return jobOf(job);
  throw compactError(
    'ERR_COMPACT_JOB_STATE',
    `the job ${job.id} was created with the key ${key}, and is another`,
    {
      op: 'idempotencyKey',
      expected: 'the same request as before, or a key of its own',
      received: key,
      remedy: 'Use a new key for a new job',
    },
  );
}

/** A job that no process does any more. */
const inStatus = (job: StoredJob, status: JobStatus): StoredJob => ({
  ...job,
  status,
  stopRequest: undefined,
  server: undefined,
  finishedAt: finalStatuses.includes(status) ? Date.now() : undefined,
  losses: status === 'queued' ? job.losses : 0,
});

const neverFits = (plan: JobPlan): JobError => ({
  code: 'ERR_COMPACT_DOES_NOT_FIT',
  what: 'the job no longer fits on any device of the server',
  op: 'device',
  expected: `a device ${plan.device} with ${bytesOf(plan)} bytes for jobs`,
  received: 'devices that have less, or are of another kind',
  remedy: 'Give the server more memory and resume the job, or create one that takes less',
});

const unknownJob = (id: string): Error =>
  compactError('ERR_COMPACT_JOB_UNKNOWN', 'there is no such job', { op: 'id', received: id });

const checkLimit = (limit: number): number => checkValue(limit, wholeNumber(1), 'limit');
