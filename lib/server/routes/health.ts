import type { FastifyInstance } from 'fastify';
import { ApiError } from '../api-error.js';
import type { ServerContext } from '../context.js';

/** Whether the process lives, and whether it can take requests: for those who start and balance servers. */
export function registerHealth(app: FastifyInstance, { database, closing }: ServerContext): void {
  const config = { scope: 'open' } as const;
  app.get('/livez', { config }, () => ({ status: 'ok' }));
  app.get('/readyz', { config }, async () => {
    if (closing.aborted) throw new ApiError('unavailable', 'The server is about to stop');
    await database.query('SELECT 1 AS one');
    return { status: 'ok' };
  });
}
