import type { Job } from '../../jobs/job.js';
import type { JobService } from '../../jobs/job-service.js';

/** Events that are read at once. */
const eventsAtOnce = 500;
const prefix = 'file-result-';

/** The file of what was measured in a job; it is made of the job's events when it is read. */
export const resultFileId = ({ id }: Pick<Job, 'id'>): string => `${prefix}${id}`;

/** The job of such a file's id; undefined for ids of other files. */
export const jobOfResultFile = (id: string): string | undefined =>
  id.startsWith(prefix) ? id.slice(prefix.length) : undefined;

/** What clients of the API look for by a name of theirs. */
const apiNames: Readonly<Record<string, string>> = { loss: 'train_loss', evalLoss: 'valid_loss' };

/** Columns are the numbers that any of a job's metrics has, so events are read twice, and never all of them are held. */
export async function* resultCsv(jobs: JobService, { id, owner }: Job): AsyncGenerator<string> {
  const names = new Set(['step']);
  for await (const data of metrics(jobs, id, owner))
    for (const [name, value] of Object.entries(data)) if (typeof value === 'number') names.add(name);
  const columns = [...names];
  yield `${columns.map((name) => apiNames[name] ?? name).join(',')}\n`;
  for await (const data of metrics(jobs, id, owner))
    yield `${columns.map((name) => (typeof data[name] === 'number' ? String(data[name]) : '')).join(',')}\n`;
}

async function* metrics(
  jobs: JobService,
  id: string,
  owner: string,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  for (let after = 0; ;) {
    const events = await jobs.events(id, owner, { after, limit: eventsAtOnce });
    for (const event of events) if (event.type === 'metrics') yield event.data;
    const last = events.at(-1);
    if (last === undefined) return;
    after = last.id;
  }
}
