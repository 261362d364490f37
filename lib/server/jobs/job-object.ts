import type { Fit } from '../../jobs/device-memory.js';
import { finalStatuses, type Job, type JobCheckpoint, type JobEvent, type JobPlan } from '../../jobs/job.js';
import { withoutPaths } from '../hooks/without-paths.js';
import { trainedName } from '../models/model-names.js';
import { detailsOf, type Hyperparameters } from './job-details.js';
import { resultFileId } from './result-file.js';

const seconds = (ms: number): number => Math.floor(ms / 1000);

/** What a queued job waits for, by how it fits. */
const awaited: Readonly<Record<Fit, string>> = {
  now: 'turn',
  later: 'jobs',
  crowded: 'memory',
  never: 'server',
};

/**
 * A job as the API shows it; what the API has no word for stands under `compact`.
 * @param fit how its plan fits now
 */
export function jobObject(job: Job, fit: Fit, dataDirectory: string): object {
  const { status, error, result, plan, createdAt, startedAt, finishedAt } = job;
  const details = detailsOf(job);
  const hasEnded = finalStatuses.includes(status);
  return {
    id: job.id,
    object: 'fine_tuning.job',
    created_at: seconds(createdAt),
    finished_at: hasEnded && finishedAt !== undefined ? seconds(finishedAt) : null,
    estimated_finish: estimatedFinish(job),
    model: details.model,
    fine_tuned_model: status === 'succeeded' && result?.folder !== undefined ? trainedName(job) : null,
    organization_id: job.owner,
    status,
    hyperparameters: shared(details.hyperparameters),
    method: { type: details.method, [details.method]: { hyperparameters: details.hyperparameters } },
    training_file: details.trainingFile,
    validation_file: details.validationFile,
    result_files: status === 'succeeded' ? [resultFileId(job)] : [],
    trained_tokens: hasEnded ? job.trainedTokens : null,
    error: error === undefined ? null : errorObject(error, dataDirectory),
    seed: details.seed,
    integrations: [],
    metadata: details.metadata,
    compact: {
      method: methodName(job.recipe),
      step: job.step,
      max_steps: plan.maxSteps,
      trained_tokens: job.trainedTokens,
      priority: job.priority,
      attempts: job.attempts,
      started_at: startedAt === undefined ? null : seconds(startedAt),
      waits_for: status === 'queued' ? awaited[fit] : null,
      stop_request: job.stopRequest ?? null,
      loss: result?.loss ?? null,
      eval_loss: result?.evalLoss ?? null,
      plan: planObject(plan),
    },
  };
}

/** Jobs that say none have this package's own. */
function methodName({ method = 'compact' }: Job['recipe']): unknown {
  return typeof method === 'string' ? method : (method as { readonly name?: unknown }).name;
}

/** The numbers that both methods have. */
const shared = ({ n_epochs, batch_size, learning_rate_multiplier }: Hyperparameters): object => ({
  n_epochs: n_epochs ?? 'auto',
  batch_size: batch_size ?? 'auto',
  learning_rate_multiplier: learning_rate_multiplier ?? 'auto',
});

function errorObject(error: NonNullable<Job['error']>, dataDirectory: string): object {
  const { code, what, op, expected, received, remedy } = error;
  const parts = [what, expected && `expected ${expected}`, received && `received ${received}`];
  const sentence = parts.filter(Boolean).join('; ');
  return {
    code,
    param: op ?? null,
    message: withoutPaths(remedy === undefined ? sentence : `${sentence}. ${remedy}`, dataDirectory),
  };
}

/** What is left takes as long as what is done, step by step; a pause in between makes it seem later. */
function estimatedFinish({ status, startedAt, step, plan }: Job): number | null {
  if (status !== 'running' || startedAt === undefined || step === 0) return null;
  const now = Date.now();
  return seconds(now + ((now - startedAt) / step) * (plan.maxSteps - step));
}

/** What a job takes. */
export const planObject = (plan: JobPlan): object => ({
  device: plan.device,
  planned_bytes: plan.plannedBytes,
  overhead_bytes: plan.overheadBytes,
  num_parameters: plan.numParameters,
  max_steps: plan.maxSteps,
  num_tokens: plan.numTokens,
  bytes_by_kind: plan.bytesByKind,
  dense_bytes_by_kind: plan.denseBytesByKind,
});

const eventPrefix = (jobId: string): string => `ftevent-${jobId}-`;

/** The number of an event in its job; undefined for ids that are of no event of it. */
export function eventNumber(id: string, jobId: string): number | undefined {
  const prefix = eventPrefix(jobId);
  const number = id.startsWith(prefix) ? id.slice(prefix.length) : '';
  return /^\d{1,15}$/.test(number) ? Number(number) : undefined;
}

export const eventObject = (event: JobEvent, jobId: string, dataDirectory: string): object => ({
  id: `${eventPrefix(jobId)}${event.id}`,
  object: 'fine_tuning.job.event',
  created_at: seconds(event.createdAt),
  level: event.level,
  type: event.type,
  message: withoutPaths(event.message, dataDirectory),
  data: event.type === 'metrics' ? metricsObject(event.data) : event.data,
});

export const checkpointId = (jobId: string, step: number): string => `ftckpt-${jobId}-${step}`;

export const checkpointObject = (job: Job, { step, createdAt, metrics }: JobCheckpoint): object => ({
  id: checkpointId(job.id, step),
  object: 'fine_tuning.job.checkpoint',
  created_at: seconds(createdAt),
  fine_tuning_job_id: job.id,
  fine_tuned_model_checkpoint: trainedName(job, step),
  step_number: step,
  metrics: metricsObject({ step, ...metrics }),
});

/** Words of the API for what is measured. */
const apiWords: Readonly<Record<string, readonly string[]>> = {
  loss: ['train_loss'],
  evalLoss: ['valid_loss', 'full_valid_loss'],
};

/** What was measured, under its own names and those that the API has for it. */
const metricsObject = (metrics: Readonly<Record<string, unknown>>): object => ({
  ...metrics,
  ...Object.fromEntries(
    Object.entries(apiWords).flatMap(([name, words]) =>
      metrics[name] === undefined ? [] : words.map((word) => [word, metrics[name]]),
    ),
  ),
});

/** The id of events that the server adds in front of all others: what was asked for and is not done. */
const warningNumber = 0;

/** Warnings of the request, as an event before the first; none where there is nothing to warn of. */
export function warningEvent(job: Job): JobEvent | undefined {
  const { warnings } = detailsOf(job);
  if (warnings.length === 0) return undefined;
  return {
    id: warningNumber,
    createdAt: job.createdAt,
    level: 'warn',
    type: 'message',
    message: warnings.join('. '),
    data: {},
  };
}
