import type * as Fastify from 'fastify';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { optionalPackage } from '../jobs/optional-package.js';
import { ApiError } from './api-error.js';
import { closeWithLastRequest } from './hooks/close-with-last-request.js';
import { replyWithError } from './hooks/error-reply.js';
import { logRedaction } from './hooks/log-options.js';
import { refuseMalformed } from './hooks/malformed-request.js';
import { fineTuningApi } from './plugin.js';
import { checkServerOptions, type ServerOptions } from './server-options.js';

/** Characters of an id in a path; names of trained models are long. */
const maxParamLength = 512;
/** How long a whole request may take to come in: an upload over a slow line. */
const requestTimeoutMs = 3600 * 1000;

/** Where a server's log goes. */
export interface LogOptions {
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug';
  /** Default: standard output. */
  readonly stream?: { write(line: string): void };
}

/**
 * A server of OpenAI's API of fine-tuning, which does not listen yet: `await server.listen({ host, port })`. Its log is JSON
 * lines without secrets; none is written unless `log` is given.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_PACKAGE_MISSING, ERR_COMPACT_STORE, ERR_COMPACT_CHECKPOINT_WRITE
 */
export async function createServer(options: ServerOptions, log?: LogOptions): Promise<FastifyInstance> {
  const { dataDirectory, limits } = checkServerOptions(options);
  const { fastify } = optionalPackage('fastify', 'a server', () => require('fastify') as typeof Fastify);
  const folder = resolve(dataDirectory);
  const app = fastify({
    logger:
      log === undefined ? false : { ...log, redact: { ...logRedaction, paths: [...logRedaction.paths] } },
    bodyLimit: limits.bodyBytes,
    requestTimeout: requestTimeoutMs,
    routerOptions: { maxParamLength },
    genReqId: () => `req_${randomUUID()}`,
    clientErrorHandler: refuseMalformed,
    frameworkErrors: (error, request, reply) => replyWithError(error, request, reply, folder),
  } satisfies FastifyServerOptions) as unknown as FastifyInstance;
  closeWithLastRequest(app);
  app.setErrorHandler((error, request, reply) => replyWithError(error, request, reply, folder));
  app.setNotFoundHandler((request, reply) =>
    replyWithError(
      new ApiError(
        'unknown_url',
        `There is no ${request.method} ${request.url.split('?')[0]!.slice(0, 200)}`,
      ),
      request,
      reply,
      folder,
    ),
  );
  await app.register(fineTuningApi, options);
  return app;
}
