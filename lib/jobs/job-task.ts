import { join } from 'node:path';
import type { JobResult } from './job.js';
import type { JobFolders } from './job-recipe.js';
import type { KnownProgress } from './job-reporter.js';

/** A job for a process of its own. */
export interface JobTask extends JobFolders {
  readonly recipe: Readonly<Record<string, unknown>>;
  /** Kind and number. */
  readonly device: string;
  /** Of the CPU, where the recipe does not say it. */
  readonly threads: number;
  readonly maxSteps: number;
  readonly known: KnownProgress;
}

export interface JobOutcome {
  /** Whether all steps are done; false: it was asked to stop, and goes on from its latest checkpoint. */
  readonly isComplete: boolean;
  readonly result: JobResult;
}

/** The module of that process, which tells `JobProgress` and gives a `JobOutcome`. */
export const jobWorkerFile = join(__dirname, 'job-worker.js');
