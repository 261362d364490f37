import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { compactError } from '../errors.js';
import type { JobPlan } from './job.js';
import type { PlanningOptions } from './plan-job.js';
import { revivedError, type PlainError } from './process/plain-error.js';

/** What the thread is asked, and what it answers. */
export interface PlanQuestion {
  readonly id: number;
  readonly recipe: unknown;
}
export type PlanAnswer = { readonly id: number } & (
  { readonly plan: JobPlan } | { readonly error: PlainError }
);

interface Waiting {
  readonly resolve: (plan: JobPlan) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Plans jobs on a thread of its own, which begins with the first of them and is kept, so that whoever asks goes on with
 * other things meanwhile. Jobs are planned one after the other.
 */
export class Planner implements AsyncDisposable {
  readonly #options: PlanningOptions;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | undefined;
  #numQuestions = 0;
  #isClosed = false;

  constructor(options: PlanningOptions) {
    this.#options = options;
  }

  /** @throws what `planJob` throws; ERR_COMPACT_JOB_LOST when the thread ends, ERR_COMPACT_DISPOSED */
  plan(recipe: unknown): Promise<JobPlan> {
    if (this.#isClosed) return Promise.reject(closed());
    const question: PlanQuestion = { id: this.#numQuestions++, recipe };
    return new Promise((resolve, reject) => {
      this.#thread ??= this.#begin();
      try {
        this.#thread.postMessage(question, []);
      } catch (cause) {
        reject(notPlain(cause));
        return;
      }
      this.#thread.ref();
      this.#waiting.set(question.id, { resolve, reject });
    });
  }

  /** Ends the thread; plans that were asked for fail with ERR_COMPACT_DISPOSED. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#fail(closed());
    await this.#thread?.terminate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(): Worker {
    const thread = new Worker(join(__dirname, 'planner-worker.js'), { workerData: this.#options });
    thread.on('message', (answer: PlanAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) thread.unref(); // nothing else keeps a process alive
      if ('plan' in answer) waiting?.resolve(answer.plan);
      else waiting?.reject(revivedError(answer.error));
    });
    const end = (cause?: unknown): void => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      this.#fail(compactError('ERR_COMPACT_JOB_LOST', 'the thread that plans jobs has ended', { cause }));
    };
    thread.on('error', end);
    thread.on('exit', () => end());
    return thread;
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

const notPlain = (cause: unknown): Error =>
  compactError('ERR_COMPACT_TYPE', 'the recipe of a job holds what is no plain value', {
    op: 'recipe',
    expected: 'texts, numbers, booleans, and lists and mappings of them',
    received: (cause as Error).message,
    cause,
  });

const closed = (): Error => compactError('ERR_COMPACT_DISPOSED', 'no more jobs are planned', { op: 'plan' });
