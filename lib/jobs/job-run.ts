import { compactError } from '../errors.js';
import type { Job } from './job.js';
import type { JobProgress } from './job-store.js';
import { jobWorkerFile, type JobOutcome, type JobTask } from './job-task.js';
import { runProcess } from './process/run-process.js';
import { ProgressBuffer } from './progress-buffer.js';

/** What a job is to become when its process ends before all steps are done. */
export type Wish = 'queued' | 'paused' | 'cancelled';
const wishes: readonly (Wish | undefined)[] = [undefined, 'queued', 'paused', 'cancelled'];

/** One attempt at a job: its process, and how that is ended. */
export class JobRun {
  readonly job: Job;
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  #grace: NodeJS.Timeout | undefined;
  /** When that is over. */
  #graceEnds = Infinity;
  #wish: Wish | undefined;
  #losses: number;
  #isDisowned = false;

  constructor(job: Job) {
    this.job = job;
    this.#losses = job.losses;
  }

  /** The strongest of what was asked for. */
  get wish(): Wish | undefined {
    return this.#wish;
  }

  /** Whether the job is no longer this server's: what becomes of it is for others to say. */
  get isDisowned(): boolean {
    return this.#isDisowned;
  }

  /** Processes of the job that were lost since its latest checkpoint, before this one. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * @param write what is done; it gives whether the job is to go on
   * @throws what `runProcess` and `write` throw, ERR_COMPACT_ABORTED when the process was killed by `end`
   */
  async train(task: JobTask, write: (progress: JobProgress) => Promise<boolean>): Promise<JobOutcome> {
    const buffer = new ProgressBuffer(async (progress) => {
      try {
        if (!(await write(progress))) this.disown();
      } catch (error) {
        this.#kill.abort(error);
        throw error;
      }
    });
    const onMessage = (progress: JobProgress): void => {
      if (progress.checkpoint !== undefined) this.#losses = 0;
      buffer.add(progress);
    };
    try {
      const signals = { stop: this.#stop.signal, signal: this.#kill.signal };
      return await runProcess<JobOutcome, JobProgress>(jobWorkerFile, task, { onMessage, ...signals });
    } finally {
      clearTimeout(this.#grace);
      await buffer.flush();
    }
  }

  /** Asks the process to end after its step, with a checkpoint, and kills it when it has not after a time. */
  end(wish: Wish, graceMs: number): void {
    if (wishes.indexOf(wish) > wishes.indexOf(this.#wish)) this.#wish = wish;
    this.#stop.abort();
    // Who asks again does not give more time.
    const graceEnds = performance.now() + graceMs;
    if (graceEnds >= this.#graceEnds) return;
    this.#graceEnds = graceEnds;
    clearTimeout(this.#grace);
    const kill = (): void => this.#killFor(`it was asked to end, and had not after ${graceMs} ms`);
    if (graceMs === 0) kill();
    else this.#grace = setTimeout(kill, graceMs).unref();
  }

  /** Kills the process of a job that another server has by now. */
  disown(): void {
    this.#isDisowned = true;
    this.#killFor('another server has the job');
  }

  #killFor(reason: string): void {
    this.#kill.abort(compactError('ERR_COMPACT_ABORTED', `the process of the job was killed: ${reason}`));
  }
}
