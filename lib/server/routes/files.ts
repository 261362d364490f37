import type { FastifyInstance, FastifyRequest } from 'fastify';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Job } from '../../jobs/job.js';
import { ApiError, notFound } from '../api-error.js';
import type { ServerContext } from '../context.js';
import type { StoredFile } from '../files/file-store.js';
import { readUpload } from '../files/read-upload.js';
import { keyOf } from '../hooks/authenticate.js';
import { jobOfResultFile, resultCsv, resultFileId } from '../jobs/result-file.js';
import { dropWhenStalled } from '../streams/event-stream.js';
import { idParamsSchema, listObject, pageQuerySchema, type IdParams, type PageQuery } from './lists.js';

/** Bytes of a form beside its file, at most. */
const formBytes = 64 * 1024;

interface FilesQuery extends PageQuery {
  readonly order?: 'asc' | 'desc';
  readonly purpose?: string;
}

const querySchema = pageQuerySchema({
  order: {
    enum: ['asc', 'desc'],
    description: "by age: 'asc', the oldest first, or 'desc'",
    default: 'desc',
  },
  purpose: { type: 'string', description: 'the purpose of the files', maxLength: 64 },
});

const fileObject = ({ id, numBytes, createdAt, filename, kind, numRecords }: StoredFile): object => ({
  id,
  object: 'file',
  bytes: numBytes,
  created_at: Math.floor(createdAt / 1000),
  filename,
  purpose: 'fine-tune',
  status: 'processed',
  status_details: `${numRecords} records of the kind ${kind}`,
});

/** Files of records, checked line by line while they are uploaded; and what was measured in jobs, as CSV. */
export function registerFiles(app: FastifyInstance, context: ServerContext): void {
  const { files, jobs, limits, slots } = context;
  const read = { config: { scope: 'read' }, schema: { params: idParamsSchema } } as const;
  const write = { config: { scope: 'files' } } as const;

  app.post('/v1/files', write, async (request, reply) => {
    const key = keyOf(request);
    using _ = slots.uploads.take(key.id);
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    if (declaredBytes > limits.fileBytes + formBytes)
      throw new ApiError('file_too_large', `The file has more than ${limits.fileBytes} bytes`, {
        param: 'file',
        details: { maxBytes: limits.fileBytes },
      });
    await files.checkRoom(key, Math.max(1, declaredBytes - formBytes));
    dropWhenStalled(reply, limits.stallMs);
    const parts = request.parts({
      limits: { files: 1, fields: 8, parts: 9, fieldSize: 1024, fileSize: limits.fileBytes + 1 },
    });
    const { file, filename } = await readUpload(parts, (stream, name) => files.receive(stream, name, limits));
    await using received = file;
    return fileObject(await files.keep(received, filename, key));
  });

  app.get<{ Querystring: FilesQuery }>(
    '/v1/files',
    { config: read.config, schema: { querystring: querySchema } },
    async (request) => {
      const { after, limit = 20, order, purpose = 'fine-tune' } = request.query;
      if (purpose !== 'fine-tune') return listObject([], false);
      const isAscending = order === 'asc';
      const page = await files.list(keyOf(request).owner, { ...(after && { after }), limit, isAscending });
      return listObject(page.items.map(fileObject), page.hasMore);
    },
  );

  app.get<{ Params: IdParams }>('/v1/files/:id', read, async (request) => {
    const job = await jobOfResult(request);
    if (job !== undefined) return resultObject(job, await byteLength(resultCsv(jobs, job)));
    return fileObject(await fileOf(request));
  });

  app.get<{ Params: IdParams }>('/v1/files/:id/content', read, async (request, reply) => {
    dropWhenStalled(reply, limits.stallMs);
    const job = await jobOfResult(request);
    if (job !== undefined) return reply.type('text/csv').send(Readable.from(resultCsv(jobs, job)));
    const file = await fileOf(request);
    return reply
      .type('application/octet-stream')
      .header('content-length', file.numBytes)
      .send(createReadStream(files.path(file)));
  });

  app.delete<{ Params: IdParams }>(
    '/v1/files/:id',
    { ...write, schema: { params: idParamsSchema } },
    async (request) => {
      const file = await fileOf(request);
      const user = await jobs.retire(file.id);
      if (user !== undefined)
        throw new ApiError('file_in_use', `The job ${user} still needs this file. Cancel it first, or wait`);
      await files.remove(file);
      return { id: file.id, object: 'file', deleted: true };
    },
  );

  async function fileOf(request: FastifyRequest<{ Params: IdParams }>): Promise<StoredFile> {
    const { id } = request.params;
    const isPossible = /^[\w-]+$/.test(id);
    const file = isPossible ? await files.get(id, keyOf(request).owner) : undefined;
    if (file === undefined) throw notFound('file', id);
    return file;
  }

  async function jobOfResult(request: FastifyRequest<{ Params: IdParams }>): Promise<Job | undefined> {
    const id = jobOfResultFile(request.params.id);
    const job = id === undefined ? undefined : await jobs.get(id, keyOf(request).owner);
    return job?.status === 'succeeded' ? job : undefined;
  }
}

const resultObject = (job: Job, bytes: number): object => ({
  id: resultFileId(job),
  object: 'file',
  bytes,
  created_at: Math.floor((job.finishedAt ?? job.createdAt) / 1000),
  filename: 'step_metrics.csv',
  purpose: 'fine-tune-results',
  status: 'processed',
});

async function byteLength(pieces: AsyncIterable<string>): Promise<number> {
  let bytes = 0;
  for await (const piece of pieces) bytes += Buffer.byteLength(piece);
  return bytes;
}
