import type { Job } from '../../jobs/job.js';
import { detailsOf } from '../jobs/job-details.js';

/** Parts of `ft:<base>:<suffix>:<job>`, with `:ckpt-step-<step>` behind it for a checkpoint. */
export interface TrainedName {
  readonly jobId: string;
  /** Of a checkpoint. */
  readonly step: number | undefined;
}

const ofJob = /^ft:.+:[^:]*:([\w-]{1,100})$/;
const ofCheckpoint = /:ckpt-step-(\d{1,15})$/;

/** The job that a name of a trained model tells; undefined for other names. */
export function parseTrainedName(name: string): TrainedName | undefined {
  const [end = '', step] = ofCheckpoint.exec(name) ?? [];
  const [, jobId] = ofJob.exec(name.slice(0, name.length - end.length)) ?? [];
  return jobId === undefined ? undefined : { jobId, step: step === undefined ? undefined : Number(step) };
}

export function trainedName(job: Pick<Job, 'id' | 'details'>, step?: number): string {
  const { baseModel, suffix } = detailsOf(job);
  const name = `ft:${baseModel}:${suffix ?? ''}:${job.id}`;
  return step === undefined ? name : `${name}:ckpt-step-${step}`;
}
