import { placeholders } from './database.js';
import type { Transaction } from './database.js';
import { newJobId } from './job-id.js';
import { changingColumns, changingValues, jobOf, written } from './job-rows.js';
import type { StoredJob } from './job-rows.js';
import type { Job, JobCheckpoint, JobPlan, JobRequest, NewJobEvent } from './job.js';
import { noMetrics } from './last-metrics.js';

/** Events that one statement adds. */
const eventsAtOnce = 100;

const assignments = changingColumns.map((column, i) => `${column} = $${i + 2}`).join(', ');
const insertedColumns = [
  ...['sequence', 'id', 'owner', 'idempotency_key', 'priority', 'recipe', 'details', 'plan', 'created_at'],
  ...changingColumns,
];

export const newJob = (
  sequence: number,
  { recipe, owner, priority, details }: JobRequest,
  plan: JobPlan,
): StoredJob => ({
  ...{ sequence, id: newJobId(), owner, priority, recipe, details, plan, createdAt: Date.now() },
  ...{ status: 'queued', stopRequest: undefined, server: undefined },
  ...{ startedAt: undefined, finishedAt: undefined, attempts: 0, losses: 0, step: 0, trainedTokens: 0 },
  ...{ error: undefined, result: undefined, numEvents: 0, numMetrics: 0, lastMetrics: noMetrics },
});

export async function insertJob(
  transaction: Transaction,
  job: StoredJob,
  key: string | undefined,
): Promise<void> {
  const { sequence, id, owner, priority, recipe, details, plan, createdAt } = job;
  const values = [
    ...[
      sequence,
      id,
      owner,
      key ?? null,
      priority,
      written(recipe),
      written(details),
      written(plan),
      createdAt,
    ],
    ...changingValues(job),
  ];
  await transaction.query(
    `INSERT INTO compact_jobs (${insertedColumns.join(', ')}) VALUES ${placeholders(1, values.length)}`,
    values,
  );
}

/** Rows of what a job needs and of what lists find it by. */
export async function insertNames(
  transaction: Transaction,
  { sequence }: StoredJob,
  { needs = [], labels = {} }: JobRequest,
): Promise<void> {
  for (const name of new Set(needs))
    await transaction.query('INSERT INTO compact_job_needs (job, name) VALUES ($1, $2)', [sequence, name]);
  for (const [name, value] of Object.entries(labels))
    await transaction.query('INSERT INTO compact_job_labels (job, name, value) VALUES ($1, $2, $3)', [
      sequence,
      written(name),
      written(value),
    ]);
}

/** Writes what has changed of a job, and adds the events that tell of it. */
export async function saveJob(
  transaction: Transaction,
  job: StoredJob,
  events: readonly NewJobEvent[],
): Promise<Job> {
  const createdAt = Date.now();
  for (let from = 0; from < events.length; from += eventsAtOnce) {
    const some = events.slice(from, from + eventsAtOnce);
    const values = some.flatMap(({ level, type, message, data }, i) => {
      const content = written({ level, type, message, data });
      return [job.sequence, job.numEvents + from + i + 1, createdAt, type, content];
    });
    await transaction.query(
      `INSERT INTO compact_job_events (job, id, created_at, type, content)
       VALUES ${placeholders(some.length, 5)}`,
      values,
    );
  }
  const saved = {
    ...job,
    numEvents: job.numEvents + events.length,
    numMetrics: job.numMetrics + events.filter(({ type }) => type === 'metrics').length,
  };
  await transaction.query(`UPDATE compact_jobs SET ${assignments} WHERE sequence = $1`, [
    job.sequence,
    ...changingValues(saved),
  ]);
  return jobOf(saved);
}

/** One of the same step, of an attempt before, is written over on the disk, too. */
export async function keepCheckpoint(
  transaction: Transaction,
  job: StoredJob,
  { step, path, metrics }: Omit<JobCheckpoint, 'createdAt'>,
): Promise<void> {
  await transaction.query(
    `INSERT INTO compact_job_checkpoints (job, step, created_at, path, metrics) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (job, step) DO UPDATE SET path = excluded.path, metrics = excluded.metrics`,
    [job.sequence, step, Date.now(), path, written(metrics)],
  );
}
