import type multipart from '@fastify/multipart';
import type { FastifyInstance } from 'fastify';
import { join, resolve } from 'node:path';
import { optionalPackage } from '../jobs/optional-package.js';
import { AuditLog } from './audit-log.js';
import type { ServerContext } from './context.js';
import { FileStore } from './files/file-store.js';
import { authenticate } from './hooks/authenticate.js';
import { acceptEmptyBodies } from './hooks/json-body.js';
import { replyWithError } from './hooks/error-reply.js';
import { securityHeaders } from './hooks/security-headers.js';
import { strictValidation } from './hooks/strict-validation.js';
import { traceRequests } from './hooks/trace-requests.js';
import { KeyStore } from './keys/key-store.js';
import { migrateServer } from './schema.js';
import { ModelCatalogue } from './models/model-catalogue.js';
import { OpenSamplers } from './models/open-samplers.js';
import { OneAtATime } from './one-at-a-time.js';
import { registerDashboard } from './routes/dashboard.js';
import { registerCompletions } from './routes/completions.js';
import { registerFiles } from './routes/files.js';
import { registerHealth } from './routes/health.js';
import { registerJobExport } from './routes/job-export.js';
import { registerJobStream } from './routes/job-stream.js';
import { registerJobs } from './routes/jobs.js';
import { registerKeys } from './routes/keys.js';
import { registerMetrics } from './routes/metrics.js';
import { registerModels } from './routes/models.js';
import { registerStatus } from './routes/status.js';
import { checkServerOptions, type CheckedServerOptions, type ServerOptions } from './server-options.js';
import { Slots } from './slots.js';

/**
 * OpenAI's API of fine-tuning as a plugin of Fastify 5, for those who have a server of their own; `createServer` is for all
 * others. Its checks, errors and headers are for its own routes alone. It closes neither the jobs nor the database.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_PACKAGE_MISSING, ERR_COMPACT_STORE,
 *   ERR_COMPACT_CHECKPOINT_WRITE when it is registered
 * @example
 * await fastify({ routerOptions: { maxParamLength: 512 } }).register(fineTuningApi, { dataDirectory, jobs, database });
 */
export async function fineTuningApi(app: FastifyInstance, given: ServerOptions): Promise<void> {
  const { dataDirectory, jobs, database, limits, sampler, tracer } = given;
  const options = checkServerOptions({
    ...{ dataDirectory, jobs, database },
    ...(limits && { limits }),
    ...(sampler && { sampler }),
    ...(tracer && { tracer }),
  });
  const closing = new AbortController();
  const context = await openContext(options, closing.signal);
  const forms = optionalPackage(
    '@fastify/multipart',
    'a server',
    () => require('@fastify/multipart') as typeof multipart,
  );
  await app.register(forms, { throwFileSizeLimit: false });
  acceptEmptyBodies(app);
  // First, so that what is refused is seen as well.
  if (options.tracer !== undefined) traceRequests(app, options.tracer);
  registerMetrics(app, context);
  addHooks(app, context);
  app.addHook('preClose', () => closing.abort());
  app.addHook('onClose', () => context.samplers[Symbol.asyncDispose]());
  const groups = [
    ...[registerHealth, registerModels, registerFiles, registerJobs, registerJobStream],
    ...[registerJobExport, registerCompletions, registerKeys, registerStatus],
    registerDashboard,
  ];
  for (const register of groups) register(app, context);
}

async function openContext(options: CheckedServerOptions, closing: AbortSignal): Promise<ServerContext> {
  const { jobs, database, limits } = options;
  const dataDirectory = resolve(options.dataDirectory);
  await migrateServer(database);
  const audit = new AuditLog(database);
  await audit.removeOld();
  return {
    ...{ dataDirectory, limits, jobs, database, audit, closing },
    keys: new KeyStore(database),
    files: await FileStore.open(join(dataDirectory, 'files'), database),
    models: new ModelCatalogue(join(dataDirectory, 'models'), jobs),
    samplers: new OpenSamplers(limits.openModels, options.sampler),
    jobChanges: new OneAtATime(),
    slots: {
      uploads: new Slots('uploads', limits.uploads),
      plans: new Slots('jobs that are planned', limits.plans),
      streams: new Slots('streams', limits.streams),
      generations: new Slots('texts', limits.generations),
    },
  };
}

function addHooks(app: FastifyInstance, { keys, audit, dataDirectory }: ServerContext): void {
  app.setValidatorCompiler(strictValidation());
  app.decorateRequest('apiKey', null);
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers(securityHeaders).header('x-request-id', request.id);
    await authenticate(keys, request);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { apiKey: key, method } = request;
    if (key === null || method === 'GET' || method === 'HEAD') return;
    const { id = '' } = (request.params ?? {}) as { readonly id?: string };
    const action = `${method} ${request.routeOptions.url}`;
    const entry = { key, action, subject: id, status: reply.statusCode };
    request.log.info({ keyId: key.id, owner: key.owner, action, subject: id, status: entry.status }, 'audit');
    // What was done is done; that nobody will read of it is for the log.
    await audit.add(entry).catch((error: unknown) => request.log.error({ err: error }, 'audit'));
  });
  app.setErrorHandler((error, request, reply) => replyWithError(error, request, reply, dataDirectory));
}
