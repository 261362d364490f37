import type { FastifyInstance } from 'fastify';
import { isCompactError } from '../../errors.js';
import type { ServerContext } from '../context.js';
import { keyOf } from '../hooks/authenticate.js';
import { ServerMetrics } from '../server-metrics.js';
import { onceClosed } from '../streams/client-signal.js';

/**
 * What Prometheus reads of the server, by a key with the scope 'read': numbers of all owners, no names and no ids. It needs
 * the package prom-client, and says so where that is not installed.
 */
export function registerMetrics(app: FastifyInstance, { jobs }: ServerContext): void {
  const options = { config: { scope: 'read' } } as const;
  let metrics: ServerMetrics;
  try {
    metrics = new ServerMetrics();
  } catch (error) {
    if (!isCompactError(error, 'ERR_COMPACT_PACKAGE_MISSING')) throw error;
    app.get('/metrics', options, () => Promise.reject(error));
    return;
  }
  countRequests(app, metrics);
  app.addHook('onClose', async () => metrics[Symbol.dispose]());
  app.get('/metrics', options, async (request, reply) => {
    const status = await jobs.status(keyOf(request).owner);
    return reply.type(metrics.contentType).send(await metrics.text(status));
  });
}

/** Those too whose client goes before the end of the answer, as clients of streams do. */
function countRequests(app: FastifyInstance, metrics: ServerMetrics): void {
  app.addHook('onRequest', async ({ method, routeOptions }, reply) => {
    const began = performance.now();
    onceClosed(reply, () => {
      const seconds = (performance.now() - began) / 1000;
      metrics.count({ method, route: routeOptions.url ?? '', status: reply.statusCode, seconds });
    });
  });
}
