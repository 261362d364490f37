import type { SqlRow, SqlValue } from './database.js';
import { finalStatuses, type Job, type JobCheckpoint, type JobEvent, type JobStatus } from './job.js';
import type { LastMetrics } from './last-metrics.js';

/** A job as its row holds it, with what is of no interest outside. */
export interface StoredJob extends Job {
  readonly sequence: number;
  /** Whose process does a running job. */
  readonly server: string | undefined;
  readonly numEvents: number;
  readonly numMetrics: number;
  readonly lastMetrics: LastMetrics;
}

/** Of rows of jobs, in SQL: that they have ended. */
export const inFinalStatus = `status IN (${finalStatuses.map((status) => `'${status}'`).join(', ')})`;

export const storedJobOf = (row: SqlRow): StoredJob => ({
  sequence: Number(row.sequence),
  id: String(row.id),
  owner: String(row.owner),
  priority: Number(row.priority),
  recipe: parsed(row.recipe) as Job['recipe'],
  details: parsed(row.details) as Job['details'],
  plan: parsed(row.plan) as Job['plan'],
  createdAt: Number(row.created_at),
  status: row.status as JobStatus,
  stopRequest: (row.stop_request ?? undefined) as Job['stopRequest'],
  server: (row.server ?? undefined) as string | undefined,
  startedAt: (row.started_at ?? undefined) as number | undefined,
  finishedAt: (row.finished_at ?? undefined) as number | undefined,
  attempts: Number(row.attempts),
  losses: Number(row.losses),
  step: Number(row.step),
  trainedTokens: Number(row.trained_tokens),
  error: parsed(row.error) as Job['error'],
  result: parsed(row.result) as Job['result'],
  numEvents: Number(row.num_events),
  numMetrics: Number(row.num_metrics),
  lastMetrics: parsed(row.last_metrics) as LastMetrics,
});

/** The columns of a job that change, in the order of `changingValues`. */
export const changingColumns = [
  'status', 'stop_request', 'server', 'started_at', 'finished_at', 'attempts', 'losses', 'step', 'trained_tokens',
  'error', 'result', 'num_events', 'num_metrics', 'last_metrics',
] as const; // prettier-ignore

export const changingValues = (job: StoredJob): readonly SqlValue[] => [
  job.status,
  job.stopRequest ?? null,
  job.server ?? null,
  job.startedAt ?? null,
  job.finishedAt ?? null,
  job.attempts,
  job.losses,
  job.step,
  job.trainedTokens,
  written(job.error),
  written(job.result),
  job.numEvents,
  job.numMetrics,
  written(job.lastMetrics),
];

/** What others see of a job. */
export const jobOf = (job: StoredJob): Job => ({
  id: job.id,
  owner: job.owner,
  priority: job.priority,
  recipe: job.recipe,
  details: job.details,
  plan: job.plan,
  createdAt: job.createdAt,
  status: job.status,
  stopRequest: job.stopRequest,
  startedAt: job.startedAt,
  finishedAt: job.finishedAt,
  attempts: job.attempts,
  losses: job.losses,
  step: job.step,
  trainedTokens: job.trainedTokens,
  error: job.error,
  result: job.result,
});

export const eventOf = (row: SqlRow): JobEvent => ({
  id: Number(row.id),
  createdAt: Number(row.created_at),
  ...(parsed(row.content) as Pick<JobEvent, 'level' | 'type' | 'message' | 'data'>),
});

export const checkpointOf = (row: SqlRow): JobCheckpoint => ({
  step: Number(row.step),
  createdAt: Number(row.created_at),
  path: String(row.path),
  metrics: parsed(row.metrics) as JobCheckpoint['metrics'],
});

/** JSON escapes what a database cannot keep of texts. */
export const written = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value);

const parsed = (text: SqlValue | undefined): unknown =>
  typeof text === 'string' ? (JSON.parse(text) as unknown) : undefined;
