import type { FastifyInstance } from 'fastify';
import { notFound } from '../api-error.js';
import type { ServerContext } from '../context.js';
import type { ApiKey, KeyOptions } from '../keys/key-store.js';
import { scopes, type Scope } from '../keys/scopes.js';
import { idParamsSchema, type IdParams } from './lists.js';

interface KeyBody {
  readonly owner?: string;
  readonly name?: string;
  readonly scopes?: readonly Scope[];
  readonly max_jobs?: number;
  readonly max_file_bytes?: number;
}

const word = { type: 'string', maxLength: 128, pattern: '^[^\\p{Cc}]*$' };
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const bodySchema = {
  type: 'object',
  description: 'a key, { owner, name, scopes, max_jobs, max_file_bytes }',
  properties: {
    owner: { ...word, minLength: 1, description: 'whose its jobs and files are, at most 128 characters' },
    name: { ...word, description: 'what people call it, at most 128 characters' },
    scopes: {
      type: 'array',
      description: `a list of ${scopes.join(', ')}`,
      items: { enum: scopes, description: `one of ${scopes.join(', ')}` },
      minItems: 1,
      uniqueItems: true,
    },
    max_jobs: { ...count, description: 'jobs that have not ended, a whole number from 0' },
    max_file_bytes: { ...count, description: 'bytes of files together, a whole number from 0' },
  },
  additionalProperties: false,
};

const keyObject = ({ id, owner, name, scopes, maxJobs, maxFileBytes, createdAt }: ApiKey): object => ({
  id,
  object: 'compact.key',
  created_at: Math.floor(createdAt / 1000),
  ...{ owner, name, scopes },
  max_jobs: maxJobs,
  max_file_bytes: maxFileBytes,
});

const optionsOf = ({ max_jobs: maxJobs, max_file_bytes: maxFileBytes, ...others }: KeyBody): KeyOptions => ({
  ...others,
  ...(maxJobs !== undefined && { maxJobs }),
  ...(maxFileBytes !== undefined && { maxFileBytes }),
});

/** Keys of the server: for those whose own key has the scope 'admin'. */
export function registerKeys(app: FastifyInstance, { keys }: ServerContext): void {
  const config = { scope: 'admin' } as const;
  app.post<{ Body: KeyBody }>(
    '/v1/compact/keys',
    { config, schema: { body: bodySchema } },
    async (request) => {
      const { key, secret } = await keys.create(optionsOf(request.body));
      // The one time that it is told.
      return { ...keyObject(key), secret };
    },
  );
  app.get('/v1/compact/keys', { config }, async () => ({
    object: 'list',
    data: (await keys.list()).map(keyObject),
  }));
  app.delete<{ Params: IdParams }>(
    '/v1/compact/keys/:id',
    { config, schema: { params: idParamsSchema } },
    async (request) => {
      const { id } = request.params;
      if (!/^[\w-]+$/.test(id) || !(await keys.revoke(id))) throw notFound('key', id);
      return { id, object: 'compact.key', deleted: true };
    },
  );
}
