import type { FastifyInstance } from 'fastify';
import { join, resolve } from 'node:path';
import { ApiError, notFound } from '../api-error.js';
import type { ServerContext } from '../context.js';
import { folderArchive } from '../files/folder-archive.js';
import { keyOf } from '../hooks/authenticate.js';
import { dropWhenStalled } from '../streams/event-stream.js';
import { idParamsSchema, type IdParams } from './lists.js';

interface ExportQuery {
  readonly content: 'model' | 'adapters';
}

const querySchema = {
  type: 'object',
  properties: {
    content: {
      enum: ['model', 'adapters'],
      description: "'model', the whole one, or 'adapters', where the method trains nothing else",
      default: 'model',
    },
  },
  additionalProperties: false,
};

/** What a job has trained, as a tar archive of its folder. */
export function registerJobExport(app: FastifyInstance, { jobs, limits }: ServerContext): void {
  const options = {
    config: { scope: 'read' },
    schema: { params: idParamsSchema, querystring: querySchema },
  } as const;
  app.get<{ Params: IdParams; Querystring: ExportQuery }>(
    '/v1/compact/jobs/:id/export',
    options,
    async (request, reply) => {
      const { id } = request.params;
      const job = /^[\w-]+$/.test(id) ? await jobs.get(id, keyOf(request).owner) : undefined;
      if (job === undefined) throw notFound('job', id);
      const { content } = request.query;
      const folder = content === 'model' ? job.result?.folder : job.result?.adapters;
      if (folder === undefined)
        throw new ApiError(
          'job_state',
          `The job ${job.id} is ${job.status} and has no ${content} to download`,
        );
      dropWhenStalled(reply, limits.stallMs);
      return reply
        .type('application/x-tar')
        .header('content-disposition', `attachment; filename="${job.id}-${content}.tar"`)
        .send(folderArchive(resolve(join(jobs.folder(job.id), folder)), `${job.id}-${content}`));
    },
  );
}
