export { JobQueue, type JobDevice, type JobQueueOptions, type Retention } from '../jobs/index.js';
export type { Database, SqlRow, SqlValue, Transaction } from '../jobs/database.js';
export type { DeviceStatus, Fit } from '../jobs/device-memory.js';
export type { JobService, JobServiceStatus } from '../jobs/job-service.js';
export type { ThroughputStatus } from '../jobs/throughput.js';
export type {
  Job,
  JobCheckpoint,
  JobError,
  JobEvent,
  JobPlan,
  JobRequest,
  JobResult,
  JobStatus,
  Labels,
  NewJobEvent,
} from '../jobs/job.js';
export type { JobEnd, JobListOptions, JobProgress, JobStore, Page } from '../jobs/job-store.js';
export type { Span, Tracer } from '../jobs/tracer.js';
export { type ApiErrorCode, apiErrors } from './api-error.js';
export { createServer, type LogOptions } from './create-server.js';
export { type ApiKey, type KeyOptions, KeyStore } from './keys/key-store.js';
export type { Scope } from './keys/scopes.js';
export { openJobService, openServerDatabase } from './open.js';
export { fineTuningApi } from './plugin.js';
export type { ServerLimits, ServerOptions } from './server-options.js';
