// What jobs need until they end: files, and the models that they go on from. Whoever changes needs or retires a name
// holds the sequence of jobs meanwhile (`SqlJobStore`).
import { compactError } from '../errors.js';
import type { Transaction } from './database.js';
import { inFinalStatus, type StoredJob } from './job-rows.js';

export async function needsOf(transaction: Transaction, { sequence }: StoredJob): Promise<readonly string[]> {
  const rows = await transaction.query('SELECT name FROM compact_job_needs WHERE job = $1', [sequence]);
  return rows.map(({ name }) => String(name));
}

/** @throws ERR_COMPACT_JOB_STATE where something of it is retired */
export async function checkNeeds(transaction: Transaction, needs: readonly string[]): Promise<void> {
  for (const name of needs) {
    const [retired] = await transaction.query('SELECT name FROM compact_retired WHERE name = $1', [name]);
    if (retired === undefined) continue;
    throw compactError('ERR_COMPACT_JOB_STATE', `${name}, which the job needs, has been deleted`, {
      op: name,
      expected: 'a job whose files and model are there',
      remedy: 'Create a job with others',
    });
  }
}

/**
 * No job that is created from now on may need a name.
 * @returns the id of a job that needs it and has not ended: then nothing is retired
 */
export async function retireName(transaction: Transaction, name: string): Promise<string | undefined> {
  const [user] = await transaction.query(
    `SELECT id FROM compact_jobs JOIN compact_job_needs ON job = sequence
     WHERE name = $1 AND NOT ${inFinalStatus} ORDER BY sequence LIMIT 1`,
    [name],
  );
  if (user !== undefined) return String(user.id);
  await transaction.query('INSERT INTO compact_retired (name) VALUES ($1) ON CONFLICT DO NOTHING', [name]);
  return undefined;
}
