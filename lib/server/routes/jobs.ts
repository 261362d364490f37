import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Job, JobEvent } from '../../jobs/job.js';
import { ApiError, notFound } from '../api-error.js';
import type { ServerContext } from '../context.js';
import { keyOf } from '../hooks/authenticate.js';
import { jobBodySchema, type JobBody } from '../jobs/job-body.js';
import {
  checkpointId,
  checkpointObject,
  eventNumber,
  eventObject,
  jobObject,
  planObject,
  warningEvent,
} from '../jobs/job-object.js';
import { metadataFilter, metadataFilterSchema } from '../jobs/metadata-filter.js';
import { JobRequests } from '../jobs/job-requests.js';
import { idParamsSchema, listObject, pageQuerySchema, type IdParams, type PageQuery } from './lists.js';

type OfJob = FastifyRequest<{ Params: IdParams }>;
interface PageOfJob {
  readonly Params: IdParams;
  readonly Querystring: PageQuery;
}

const maxIdempotencyKey = 255;

/** Fine-tuning jobs, as OpenAI's API has them, and plans of them. */
export function registerJobs(app: FastifyInstance, context: ServerContext): void {
  const { jobs, dataDirectory } = context;
  const requests = new JobRequests(context);
  const read = { config: { scope: 'read' }, schema: { params: idParamsSchema } } as const;
  const change = { config: { scope: 'jobs' }, schema: { params: idParamsSchema } } as const;
  const create = { config: { scope: 'jobs' }, schema: { body: jobBodySchema } } as const;
  const page = { ...read, schema: { params: idParamsSchema, querystring: pageQuerySchema() } } as const;
  const shown = (job: Job): object => jobObject(job, jobs.fitOf(job.plan), dataDirectory);

  app.post<{ Body: JobBody }>('/v1/fine_tuning/jobs', create, async (request) =>
    shown(await requests.create(request.body, keyOf(request), idempotencyKey(request))),
  );

  app.post<{ Body: JobBody }>('/v1/fine_tuning/plan', create, async (request) => ({
    object: 'fine_tuning.plan',
    ...planObject(await requests.plan(request.body, keyOf(request))),
  }));

  const { properties, patternProperties } = metadataFilterSchema;
  app.get<{ Querystring: PageQuery & Readonly<Record<string, unknown>> }>(
    '/v1/fine_tuning/jobs',
    { config: read.config, schema: { querystring: pageQuerySchema(properties, patternProperties) } },
    async (request) => {
      const { after, limit = 20 } = request.query;
      const { owner } = keyOf(request);
      if (after !== undefined && (await jobs.get(after, owner)) === undefined)
        throw notFound('job', after, 'after');
      const labels = metadataFilter(request.query);
      const { items, hasMore } = await jobs.list(owner, { ...(after && { after }), limit, labels });
      return listObject(items.map(shown), hasMore);
    },
  );

  app.get<{ Params: IdParams }>('/v1/fine_tuning/jobs/:id', read, async (request) =>
    shown(await jobOf(request)),
  );

  for (const verb of ['cancel', 'pause', 'resume'] as const)
    app.post<{ Params: IdParams }>(`/v1/fine_tuning/jobs/:id/${verb}`, change, async (request) => {
      const { id, owner } = await jobOf(request);
      return shown(await jobs[verb](id, owner));
    });

  app.get<PageOfJob>('/v1/fine_tuning/jobs/:id/events', page, async (request) => {
    const job = await jobOf(request);
    const { after, limit = 20 } = request.query;
    const before = after === undefined ? undefined : eventNumber(after, job.id);
    if (after !== undefined && before === undefined) throw notAfter('event');
    const events = await latestEvents(job, { ...(before !== undefined && { before }), limit: limit + 1 });
    const objects = events.slice(0, limit).map((event) => eventObject(event, job.id, dataDirectory));
    return listObject(objects, events.length > limit);
  });

  app.get<PageOfJob>('/v1/fine_tuning/jobs/:id/checkpoints', page, async (request) => {
    const job = await jobOf(request);
    const { after, limit = 10 } = request.query;
    const all = [...(await jobs.checkpoints(job.id, job.owner))].sort((a, b) => b.step - a.step);
    const start =
      after === undefined ? 0 : all.findIndex(({ step }) => checkpointId(job.id, step) === after) + 1;
    if (after !== undefined && start === 0) throw notAfter('checkpoint');
    const some = all.slice(start, start + limit).map((checkpoint) => checkpointObject(job, checkpoint));
    return listObject(some, start + limit < all.length);
  });

  /** Those of the job, and last of all what its request was warned of. */
  async function latestEvents(
    job: Job,
    options: { readonly before?: number; readonly limit: number },
  ): Promise<readonly JobEvent[]> {
    const events = await jobs.latestEvents(job.id, job.owner, options);
    const warning = options.before === 0 ? undefined : warningEvent(job);
    return warning === undefined || events.length === options.limit ? events : [...events, warning];
  }

  async function jobOf(request: OfJob): Promise<Job> {
    const { id } = request.params;
    const job = /^[\w-]+$/.test(id) ? await jobs.get(id, keyOf(request).owner) : undefined;
    if (job === undefined) throw notFound('job', id);
    return job;
  }
}

const notAfter = (what: string): ApiError =>
  new ApiError('invalid_value', `There is no ${what} of this job to go on after`, { param: 'after' });

/** @throws ApiError invalid_value */
function idempotencyKey({ headers }: FastifyRequest<{ Body: JobBody }>): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && /^[\x21-\x7e]+$/.test(key) && key.length <= maxIdempotencyKey) return key;
  throw new ApiError(
    'invalid_value',
    `Idempotency-Key is not possible; expected at most ${maxIdempotencyKey} visible characters of ASCII`,
    {
      param: 'Idempotency-Key',
    },
  );
}
