import type { FastifyReply, FastifyRequest } from 'fastify';
import { securityHeaders } from './security-headers.js';
import { apiErrorOf } from './api-error-of.js';

/** Answers with an error in the shape of the API; what is the server's fault is logged with its cause. */
export function replyWithError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  dataDirectory: string,
): void {
  const known = apiErrorOf(error, dataDirectory);
  const { status, code, cause } = known;
  if (status >= 500) request.log.error({ err: cause ?? error }, known.message);
  else request.log.info({ code }, known.message);
  reply.status(status).headers(securityHeaders).header('x-request-id', request.id);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // What stays wrong however often it is sent; OpenAI's clients would send a 409 again.
  if ((status !== 429 && status < 500) || status === 501) reply.header('x-should-retry', 'false');
  if (code === 'jobs_limit' || code === 'storage_limit') reply.header('x-should-retry', 'false');
  void reply.type('application/json; charset=utf-8').send(JSON.stringify(known.body));
}
