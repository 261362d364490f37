import type { FastifyInstance, FastifyRequest } from 'fastify';
import { recordThrown, type Span, type Tracer } from '../../jobs/tracer.js';
import { onceClosed } from '../streams/client-signal.js';

/** A span for each request of a route, which ends with its answer, or when its client goes. */
export function traceRequests(app: FastifyInstance, tracer: Tracer): void {
  const spans = new WeakMap<FastifyRequest, Span>();
  app.addHook('onRequest', async (request, reply) => {
    const { method, id } = request;
    const route = request.routeOptions.url ?? '';
    const attributes = { 'http.request.method': method, 'http.route': route, 'compact.request.id': id };
    const span = tracer.startSpan(`${method} ${route}`, { attributes });
    spans.set(request, span);
    onceClosed(reply, () => {
      span.setAttribute('http.response.status_code', reply.statusCode);
      span.end();
    });
  });
  app.addHook('onError', async (request, _, error) => {
    const span = spans.get(request);
    if (span !== undefined) recordThrown(span, error);
  });
}
