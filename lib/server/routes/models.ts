import type { FastifyInstance } from 'fastify';
import type { Job } from '../../jobs/job.js';
import { ApiError } from '../api-error.js';
import type { ServerContext } from '../context.js';
import { keyOf } from '../hooks/authenticate.js';
import type { ModelEntry } from '../models/model-catalogue.js';
import { idParamsSchema, type IdParams } from './lists.js';

const modelObject = ({ id, createdAt, ownedBy }: ModelEntry): object => ({
  id,
  object: 'model',
  created: Math.floor(createdAt / 1000),
  owned_by: ownedBy,
});

/** Models that jobs begin with, and those that they have trained, which may be deleted. */
export function registerModels(app: FastifyInstance, { models, jobs }: ServerContext): void {
  const config = { scope: 'read' } as const;
  app.get('/v1/models', { config }, async (request) => {
    const found = await models.list(keyOf(request).owner);
    return { object: 'list', data: found.map(modelObject) };
  });
  app.get<{ Params: IdParams }>(
    '/v1/models/:id',
    { config, schema: { params: idParamsSchema } },
    async (request) => {
      return modelObject(await models.get(request.params.id, keyOf(request).owner));
    },
  );
  app.delete<{ Params: IdParams }>(
    '/v1/models/:id',
    { config: { scope: 'files' }, schema: { params: idParamsSchema } },
    async (request) => {
      const { id } = request.params;
      const job = await jobOf(id, keyOf(request).owner);
      const user = await jobs.retire(job.id);
      if (user !== undefined)
        throw new ApiError(
          'model_in_use',
          `The job ${user} still trains from this model. Cancel it first, or wait`,
        );
      await jobs.removeModel(job.id, job.owner);
      return { id, object: 'model', deleted: true };
    },
  );

  /**
   * The job whose model is to be deleted, which may have been done before.
   * @throws ApiError model_not_found, invalid_value for a model that no job has trained, and for a checkpoint
   */
  async function jobOf(id: string, owner: string): Promise<Job> {
    const { job, step } = (await models.findJob(id, owner)) ?? {};
    if (job?.status === 'succeeded' && step === undefined) return job;
    await models.get(id, owner); // one that is not there is answered so
    const why =
      job === undefined
        ? 'is one that jobs begin with, and no job has trained it'
        : 'is a checkpoint, which goes with the model of its job';
    throw new ApiError('invalid_value', `The model ${id} ${why}`, { param: 'model' });
  }
}
