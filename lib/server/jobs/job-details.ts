import type { Job } from '../../jobs/job.js';

/** Numbers of the API, or 'auto': the choice of this package. */
export interface Hyperparameters {
  readonly n_epochs?: number | 'auto';
  readonly batch_size?: number | 'auto';
  readonly learning_rate_multiplier?: number | 'auto';
  readonly beta?: number | 'auto';
}

/** What a job keeps of the request that it was made by (`JobRequest.details`). */
export interface JobDetails {
  /** The model that was asked for. */
  readonly model: string;
  /** The one that this came from at first, which names of trained models begin with. */
  readonly baseModel: string;
  readonly trainingFile: string;
  readonly validationFile: string | null;
  readonly method: 'supervised' | 'dpo';
  readonly hyperparameters: Hyperparameters;
  readonly seed: number;
  readonly suffix: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
  /** What was asked for and is not done. */
  readonly warnings: readonly string[];
}

/** Jobs of a server are made by it alone. */
export const detailsOf = ({ details }: Pick<Job, 'details'>): JobDetails => details as unknown as JobDetails;
