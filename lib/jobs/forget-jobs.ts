// What a store forgets of jobs that have ended.
import type { Database, SqlRow, Transaction } from './database.js';
import { inFinalStatus, type StoredJob } from './job-rows.js';
import { saveJob } from './write-jobs.js';

/** Ended jobs that one transaction forgets: others wait for no longer than that. */
const forgottenAtOnce = 16;

/**
 * Forgets jobs that ended before a time, but for those whose model one that has not ended needs.
 * @returns their ids
 */
export async function forgetEnded(database: Database, endedBefore: number): Promise<string[]> {
  const forgotten: string[] = [];
  for (let rows: readonly SqlRow[] | undefined; rows === undefined || rows.length === forgottenAtOnce;) {
    rows = await database.query(
      `DELETE FROM compact_jobs WHERE sequence IN
         (SELECT sequence FROM compact_jobs ended WHERE ${inFinalStatus} AND finished_at < $1
           AND NOT EXISTS (
             SELECT 1 FROM compact_job_needs needs JOIN compact_jobs ON needs.job = compact_jobs.sequence
             WHERE needs.name = ended.id AND NOT ${inFinalStatus})
          ORDER BY sequence LIMIT $2)
       RETURNING id`,
      [endedBefore, forgottenAtOnce],
    );
    forgotten.push(...rows.map(({ id }) => String(id)));
  }
  return forgotten;
}

/** Ids of jobs that have ended with more metrics than so many. */
export async function endedWithMoreMetrics(database: Database, maxEvents: number): Promise<string[]> {
  const rows = await database.query(
    `SELECT id FROM compact_jobs WHERE ${inFinalStatus} AND num_metrics > $1`,
    [maxEvents],
  );
  return rows.map(({ id }) => String(id));
}

/** Keeps so many of a job's metrics, evenly apart, the last one among them. */
export async function thinMetrics(
  transaction: Transaction,
  job: StoredJob,
  maxEvents: number,
): Promise<void> {
  await transaction.query(
    `DELETE FROM compact_job_events WHERE job = $1 AND type = 'metrics' AND id NOT IN
       (SELECT id FROM
         (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place
          FROM compact_job_events WHERE job = $1 AND type = 'metrics') numbered
        WHERE place * CAST($2 AS BIGINT) / CAST($3 AS BIGINT)
            > (place - 1) * CAST($2 AS BIGINT) / CAST($3 AS BIGINT))`,
    [job.sequence, maxEvents, job.numMetrics],
  );
  await saveJob(transaction, { ...job, numMetrics: maxEvents }, []);
}
