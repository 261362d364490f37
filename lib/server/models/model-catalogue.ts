import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { nearestName } from '../../errors.js';
import type { Job } from '../../jobs/job.js';
import type { JobService } from '../../jobs/job-service.js';
import { llamaPresets } from '../../models/index.js';
import { systemCode } from '../../formats/index.js';
import { notFound } from '../api-error.js';
import { detailsOf } from '../jobs/job-details.js';
import { parseTrainedName, trainedName } from './model-names.js';

/** A model that clients may name. */
export interface ModelEntry {
  readonly id: string;
  /** The name of the model that it was trained from at first; its own where it was not trained here. */
  readonly baseModel: string;
  /** Milliseconds since 1970; 0 for one that is part of this package. */
  readonly createdAt: number;
  readonly ownedBy: string;
  /** Of what a job has trained. */
  readonly jobId?: string;
  /** Where its weights are; a preset has none, and is trained from scratch. */
  readonly source: { readonly folder: string } | { readonly preset: string };
}

/** Whose a trained model is. */
export interface TrainedBy {
  readonly job: Job;
  /** Of a checkpoint. */
  readonly step: number | undefined;
}

/** Jobs that are looked at for trained models in a list; older ones are found by name all the same. */
const maxListedJobs = 1000;
const configFileName = 'config.json';

/**
 * The models of a server: folders below one folder, `name` or `maker/name`, presets, and what jobs have trained. Names come
 * from lists of ours: no name of a client is ever part of a path.
 */
export class ModelCatalogue {
  readonly #folder: string;
  readonly #jobs: JobService;

  constructor(folder: string, jobs: JobService) {
    this.#folder = folder;
    this.#jobs = jobs;
  }

  /** All that an owner may use: the latest trained ones first, then those of the server. */
  async list(owner: string): Promise<readonly ModelEntry[]> {
    return [...(await this.#trained(owner)), ...(await this.#folders()), ...presets()];
  }

  /** Undefined for what somebody else has trained as for what does not exist. */
  async find(id: string, owner: string): Promise<ModelEntry | undefined> {
    const own = [...(await this.#folders()), ...presets()].find((model) => model.id === id);
    return own ?? this.#findTrained(id, owner);
  }

  /** @throws ApiError model_not_found with the nearest of the names that the owner may use */
  async get(id: string, owner: string, param?: string): Promise<ModelEntry> {
    const found = await this.find(id, owner);
    if (found !== undefined) return found;
    const names = (await this.list(owner)).map((model) => model.id);
    throw notFound('model', id, param, nearestName(id, names));
  }

  /** The job that trains, or has trained, a model or checkpoint of this name, whether it is there or not. */
  async findJob(id: string, owner: string): Promise<TrainedBy | undefined> {
    const { jobId, step } = parseTrainedName(id) ?? {};
    const job = jobId === undefined ? undefined : await this.#jobs.get(jobId, owner);
    return job !== undefined && trainedName(job, step) === id ? { job, step } : undefined;
  }

  async #findTrained(id: string, owner: string): Promise<ModelEntry | undefined> {
    const { job, step } = (await this.findJob(id, owner)) ?? {};
    if (job === undefined) return undefined;
    if (step === undefined) return this.#entryOf(job);
    const checkpoint = (await this.#jobs.checkpoints(job.id, owner)).find((one) => one.step === step);
    if (checkpoint === undefined) return undefined;
    const folder = join(this.#jobs.folder(job.id), checkpoint.path);
    return {
      id,
      baseModel: detailsOf(job).baseModel,
      createdAt: checkpoint.createdAt,
      ownedBy: owner,
      jobId: job.id,
      source: { folder },
    };
  }

  async #trained(owner: string): Promise<readonly ModelEntry[]> {
    const found: ModelEntry[] = [];
    let after: string | undefined;
    for (let numSeen = 0; numSeen < maxListedJobs;) {
      const { items, hasMore } = await this.#jobs.list(owner, { ...(after && { after }), limit: 100 });
      for (const job of items) {
        const entry = this.#entryOf(job);
        if (entry !== undefined) found.push(entry);
      }
      numSeen += items.length;
      after = items.at(-1)?.id;
      if (!hasMore || after === undefined) break;
    }
    return found;
  }

  #entryOf(job: Job): ModelEntry | undefined {
    const { status, result, finishedAt, createdAt, owner } = job;
    if (status !== 'succeeded' || result?.folder === undefined) return undefined;
    return {
      id: trainedName(job),
      baseModel: detailsOf(job).baseModel,
      createdAt: finishedAt ?? createdAt,
      ownedBy: owner,
      jobId: job.id,
      source: { folder: join(this.#jobs.folder(job.id), result.folder) },
    };
  }

  async #folders(): Promise<readonly ModelEntry[]> {
    const found: ModelEntry[] = [];
    for (const name of await namesIn(this.#folder)) {
      const own = await this.#folderEntry([name]);
      if (own !== undefined) found.push(own);
      else
        for (const inner of await namesIn(join(this.#folder, name))) {
          const entry = await this.#folderEntry([name, inner]);
          if (entry !== undefined) found.push(entry);
        }
    }
    return found;
  }

  async #folderEntry(names: readonly string[]): Promise<ModelEntry | undefined> {
    const folder = join(this.#folder, ...names);
    const config = await stat(join(folder, configFileName)).catch(() => undefined);
    if (config?.isFile() !== true) return undefined;
    const id = names.join('/');
    return {
      id,
      baseModel: id,
      createdAt: Math.floor(config.mtimeMs),
      ownedBy: 'server',
      source: { folder },
    };
  }
}

/** Folders that nobody hides; none where there is no such folder. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

const presets = (): readonly ModelEntry[] =>
  Object.keys(llamaPresets).map((preset) => ({
    id: preset,
    baseModel: preset,
    createdAt: 0,
    ownedBy: 'compact-train',
    source: { preset },
  }));
