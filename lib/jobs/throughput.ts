import type { Job } from './job.js';
import type { JobProgress } from './job-store.js';

/** What jobs have learnt since this process began, and how fast those are that run. */
export interface ThroughputStatus {
  /** Optimizer steps, and the tokens that they learnt from. */
  readonly steps: number;
  readonly trainedTokens: number;
  /** Tokens per second of all jobs that run, as they told it last. */
  readonly tokensPerSecond: number;
  /** Seconds that a step takes, the mean of the jobs that run; undefined while none has told it. */
  readonly secondsPerStep: number | undefined;
}

/** Adds up what the jobs of one process tell. */
export class Throughput {
  #steps = 0;
  #trainedTokens = 0;
  readonly #running = new Set<Attempt>();

  /** Follows a job until what is returned is disposed of. */
  follow(job: Job): Disposable & { tell(progress: JobProgress): void } {
    const attempt = new Attempt(job);
    this.#running.add(attempt);
    return {
      tell: (progress) => {
        const { steps, trainedTokens } = attempt.advance(progress);
        this.#steps += steps;
        this.#trainedTokens += trainedTokens;
      },
      [Symbol.dispose]: () => void this.#running.delete(attempt),
    };
  }

  get status(): ThroughputStatus {
    const speeds = [...this.#running].filter(({ tokensPerSecond }) => tokensPerSecond > 0);
    const seconds = speeds.map(({ tokensPerStep, tokensPerSecond }) => tokensPerStep / tokensPerSecond);
    return {
      steps: this.#steps,
      trainedTokens: this.#trainedTokens,
      tokensPerSecond: sum(speeds.map(({ tokensPerSecond }) => tokensPerSecond)),
      secondsPerStep: seconds.length === 0 ? undefined : sum(seconds) / seconds.length,
    };
  }
}

/** How far one attempt at a job has come. */
class Attempt {
  readonly tokensPerStep: number;
  #step: number;
  #trainedTokens: number;
  #tokensPerSecond = 0;

  constructor({ step, trainedTokens, plan }: Job) {
    this.tokensPerStep = plan.numTokens / plan.maxSteps;
    this.#step = step;
    this.#trainedTokens = trainedTokens;
  }

  /** 0 while it is not known. */
  get tokensPerSecond(): number {
    return this.#tokensPerSecond;
  }

  /** @returns what is new */
  advance({ step, trainedTokens, events }: JobProgress): Pick<ThroughputStatus, 'steps' | 'trainedTokens'> {
    for (const { data } of events)
      if (typeof data['tokensPerSecond'] === 'number') this.#tokensPerSecond = data['tokensPerSecond'];
    const news = {
      steps: Math.max(0, step - this.#step),
      trainedTokens: Math.max(0, trainedTokens - this.#trainedTokens),
    };
    this.#step += news.steps;
    this.#trainedTokens += news.trainedTokens;
    return news;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
