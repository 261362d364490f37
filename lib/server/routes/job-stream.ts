import type { FastifyInstance } from 'fastify';
import { ApiError, notFound } from '../api-error.js';
import type { ServerContext } from '../context.js';
import { keyOf } from '../hooks/authenticate.js';
import { clientSignal, onceClosed } from '../streams/client-signal.js';
import { sendEvents } from '../streams/event-stream.js';
import { jobEventFrames } from '../streams/job-events.js';
import { idParamsSchema, type IdParams } from './lists.js';

/** The events of a job as they happen, as server-sent events; a client goes on where it was by Last-Event-ID. */
export function registerJobStream(app: FastifyInstance, context: ServerContext): void {
  const { jobs, limits, slots, dataDirectory, closing } = context;
  const options = { config: { scope: 'read' }, schema: { params: idParamsSchema } } as const;
  app.get<{ Params: IdParams }>('/v1/compact/jobs/:id/events/stream', options, async (request, reply) => {
    const { id } = request.params;
    const key = keyOf(request);
    const job = /^[\w-]+$/.test(id) ? await jobs.get(id, key.owner) : undefined;
    if (job === undefined) throw notFound('job', id);
    const after = lastEventId(request.headers['last-event-id']);
    const slot = slots.streams.take(key.id);
    onceClosed(reply, () => slot[Symbol.dispose]());
    const signal = clientSignal(reply, closing);
    const { heartbeatMs, stallMs } = limits;
    const frames = jobEventFrames(jobs, job, { after, heartbeatMs, dataDirectory, signal });
    return sendEvents(reply, frames, stallMs);
  });
}

/** @throws ApiError invalid_value */
function lastEventId(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header);
  throw new ApiError('invalid_value', 'Last-Event-ID is not the id of an event', { param: 'Last-Event-ID' });
}
