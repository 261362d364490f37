import type { FastifyInstance } from 'fastify';
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

/** Models that jobs begin with, and those that they have trained. */
export function registerModels(app: FastifyInstance, { models }: ServerContext): void {
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
}
