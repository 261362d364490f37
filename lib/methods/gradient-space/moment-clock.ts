import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { checkValue, wholeNumber } from '../../options.js';
import type { Clock } from '../clock.js';

const stateSchema = v.object({ steps: wholeNumber(0) }, 'what state() gives');

/** Tells the bias corrections of the moments as the step before left them; the first step, which has none, is a variant. */
export class MomentClock implements Clock {
  static readonly scalars = ['momentCorrection', 'varianceShare'] as const;
  readonly #betas: readonly [number, number];
  readonly #start: string;
  /** Optimizer steps done. */
  #steps = 0;

  constructor(betas: readonly [number, number], start: string) {
    this.#betas = betas;
    this.#start = start;
  }

  get variant(): string | undefined {
    return this.#steps === 0 ? this.#start : undefined;
  }

  /** 1 / (1 - beta1^t), and (1 - beta2^t) times its square, with the t steps that the moments have seen. */
  get scalars(): Readonly<Record<(typeof MomentClock.scalars)[number], number>> {
    const [beta1, beta2] = this.#betas;
    const seen = Math.max(1, this.#steps);
    const momentCorrection = 1 / (1 - beta1 ** seen);
    return { momentCorrection, varianceShare: (1 - beta2 ** seen) * momentCorrection ** 2 };
  }

  completeStep(): undefined {
    this.#steps++;
  }

  state(): v.InferOutput<typeof stateSchema> {
    return { steps: this.#steps };
  }

  restore(given: unknown, completedSteps: number): void {
    const { steps } = checkValue(given, stateSchema, 'moments', 'ERR_COMPACT_CHECKPOINT_INVALID');
    if (steps !== completedSteps)
      throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', 'the counts of steps contradict each other', {
        op: 'moments',
        expected: `the ${completedSteps} steps that are done`,
        received: String(steps),
      });
    this.#steps = steps;
  }
}
