import type { Job, JobPlan, JobRequest } from '../../jobs/job.js';
import { ApiError, notFound } from '../api-error.js';
import type { ServerContext } from '../context.js';
import type { ApiKey } from '../keys/key-store.js';
import type { JobBody } from './job-body.js';
import { jobRecipe, type JobFile } from './job-recipe.js';

/** Creates jobs, and plans them, from what clients send. */
export class JobRequests {
  readonly #context: Pick<ServerContext, 'jobs' | 'files' | 'models' | 'jobChanges' | 'slots'>;

  constructor(context: Pick<ServerContext, 'jobs' | 'files' | 'models' | 'jobChanges' | 'slots'>) {
    this.#context = context;
  }

  /**
   * What a job would take.
   * @throws ApiError, and what `JobService.plan` throws
   */
  async plan(body: JobBody, key: ApiKey): Promise<JobPlan> {
    using _ = this.#context.slots.plans.take(key.id);
    return await this.#context.jobs.plan((await this.#request(body, key)).recipe);
  }

  /** @throws ApiError, and what `JobService.create` throws */
  async create(body: JobBody, key: ApiKey, idempotencyKey: string | undefined): Promise<Job> {
    const { slots, jobChanges, jobs } = this.#context;
    using _ = slots.plans.take(key.id);
    // Meanwhile no other job is counted.
    return await jobChanges.do(key.owner, async () => {
      const request = await this.#request(body, key);
      const isAgain = idempotencyKey !== undefined && (await jobs.wasCreated(key.owner, idempotencyKey));
      if (!isAgain) await this.#checkRoom(key);
      return jobs.create(request, idempotencyKey);
    });
  }

  async #request(body: JobBody, { owner, scopes }: ApiKey): Promise<JobRequest> {
    const model = await this.#context.models.get(body.model, owner, 'model');
    const training = await this.#file(body.training_file, owner, 'training_file');
    const validationId = body.validation_file ?? undefined;
    const validation =
      validationId === undefined ? undefined : await this.#file(validationId, owner, 'validation_file');
    if (validation !== undefined && validation.file.kind !== training.file.kind)
      throw new ApiError(
        'invalid_file_format',
        `The validation file holds records of the kind ${validation.file.kind}, the training file of the kind ${training.file.kind}`,
        { param: 'validation_file' },
      );
    const { recipe, details, priority } = jobRecipe(body, { model, training, validation });
    if (priority > 0 && !scopes.includes('admin'))
      throw new ApiError(
        'insufficient_scope',
        "A priority above 0, before the jobs of others, needs the scope 'admin'",
        { param: 'compact.priority' },
      );
    const needs = [training.file.id, validation?.file.id, model.jobId].filter((name) => name !== undefined);
    return { recipe, owner, priority, details: { ...details }, needs, labels: details.metadata ?? {} };
  }

  async #file(id: string, owner: string, param: string): Promise<JobFile> {
    const { files } = this.#context;
    const file = await files.get(id, owner);
    if (file === undefined) throw notFound('file', id, param);
    return { file, path: files.path(file) };
  }

  /** @throws ApiError jobs_limit */
  async #checkRoom({ owner, maxJobs }: ApiKey): Promise<void> {
    const { queued, running, paused } = await this.#context.jobs.count(owner);
    const numJobs = queued + running + paused;
    if (numJobs >= maxJobs)
      throw new ApiError(
        'jobs_limit',
        `This key may have ${maxJobs} jobs that have not ended, and has ${numJobs}. Cancel one first, or wait`,
        { details: { numJobs, maxJobs } },
      );
  }
}
