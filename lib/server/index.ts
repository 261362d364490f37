export type { Database, SqlRow, SqlValue, Transaction } from '../jobs/database.js';
export type { JobService } from '../jobs/job-service.js';
export type {
  Job,
  JobCheckpoint,
  JobError,
  JobEvent,
  JobPlan,
  JobRequest,
  JobResult,
  JobStatus,
} from '../jobs/job.js';
export type { Page } from '../jobs/job-store.js';
export { type ApiErrorCode, apiErrors } from './api-error.js';
export { createServer, type LogOptions } from './create-server.js';
export { type ApiKey, type KeyOptions, KeyStore } from './keys/key-store.js';
export type { Scope } from './keys/scopes.js';
export { migrateServer } from './schema.js';
export { fineTuningApi } from './plugin.js';
export type { ServerLimits, ServerOptions } from './server-options.js';
