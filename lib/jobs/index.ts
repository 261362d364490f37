export type { DeviceStatus, Fit, JobDevice } from './device-memory.js';
export { JobQueue } from './job-queue.js';
export type { JobQueueOptions } from './job-queue-options.js';
export type { JobService, JobServiceStatus } from './job-service.js';
export type { JobEnd, JobProgress, JobStore, Page } from './job-store.js';
export { finalStatuses } from './job.js';
export type {
  Job,
  JobCheckpoint,
  JobError,
  JobEvent,
  JobPlan,
  JobRequest,
  JobResult,
  JobStatus,
  NewJobEvent,
} from './job.js';
export type { Retention } from './retention.js';
export { presetModelFolder, type PresetModel } from './preset-model.js';
export type { ThroughputStatus } from './throughput.js';
export type { Span, Tracer } from './tracer.js';
