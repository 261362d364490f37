import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../formats/index.js';
import { isJobId } from './job-id.js';
import type { JobStore } from './job-store.js';

const dayMs = 24 * 3600 * 1000;

/** What is kept of jobs that have ended. */
export interface Retention {
  /**
   * Days after its end until a job is forgotten, with its events, its folder and what it has trained; so are folders of jobs
   * that the store does not know. Default: never.
   */
  readonly endedDays?: number | undefined;
  /** Events of type 'metrics' that are kept of a job, evenly apart. Default: all. */
  readonly maxEvents?: number | undefined;
}

/**
 * Forgets what is old. A job leaves the store before its folder is removed: what a crash leaves between is a folder without
 * a job, which a later call removes when nothing has been changed in it for a day.
 *
 * @param folder of the folders of jobs
 * @param onProblem told of each folder that cannot be removed
 * @throws ERR_COMPACT_STORE, and what the file system says when the folder cannot be read
 */
export async function retain(
  store: Pick<JobStore, 'compact' | 'get'>,
  folder: string,
  { endedDays, maxEvents = Number.MAX_SAFE_INTEGER }: Retention,
  onProblem: (problem: unknown) => void,
): Promise<void> {
  const endedBefore = endedDays === undefined ? 0 : Math.floor(Date.now() - endedDays * dayMs);
  const forgotten = await store.compact({ endedBefore, maxEvents });
  const abandoned = endedDays === undefined ? [] : await abandonedFolders(store, folder);
  for (const id of new Set([...forgotten, ...abandoned]))
    await rm(join(folder, id), { recursive: true, force: true }).catch(onProblem);
}

/** Folders of jobs that the store does not know. */
async function abandonedFolders(store: Pick<JobStore, 'get'>, folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return []; // no job has begun yet
    throw error;
  });
  const abandoned: string[] = [];
  for (const id of names.filter(isJobId))
    if ((await isOld(join(folder, id))) && (await store.get(id)) === undefined) abandoned.push(id);
  return abandoned;
}

/** A folder that is gone meanwhile is not. */
const isOld = async (folder: string): Promise<boolean> => {
  const { mtimeMs = Infinity } = (await stat(folder).catch(() => undefined)) ?? {};
  return mtimeMs < Date.now() - dayMs;
};
