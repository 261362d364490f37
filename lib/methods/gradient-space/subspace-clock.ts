import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { checkValue, wholeNumber } from '../../options.js';
import type { Clock, Refresh } from '../clock.js';

/** JSON for checkpoints. */
interface SubspaceState {
  readonly stepsSinceRefresh: number;
}

const stateSchema = v.object({ stepsSinceRefresh: wholeNumber(0) }, 'what state() gives');

/** Says which steps are of the variant that begins with new subspaces: the first, and every `refreshInterval` steps. */
export class SubspaceClock implements Clock {
  readonly scalars = {};
  readonly #refreshInterval: number;
  readonly #variant: string;
  /** Optimizer steps done. */
  #steps = 0;

  constructor(refreshInterval: number, variant: string) {
    this.#refreshInterval = refreshInterval;
    this.#variant = variant;
  }

  get variant(): string | undefined {
    return this.#stepsSinceRefresh === 0 ? this.#variant : undefined;
  }

  get #stepsSinceRefresh(): number {
    return this.#steps % this.#refreshInterval;
  }

  /** Tells the number of the subspaces that the step began with, 0 for the first. */
  completeStep(): Refresh | undefined {
    const isRefresh = this.#stepsSinceRefresh === 0;
    const subspaceEpoch = Math.floor(this.#steps / this.#refreshInterval);
    this.#steps++;
    return isRefresh ? { entries: [], report: { subspaceEpoch } } : undefined;
  }

  state(): SubspaceState {
    return { stepsSinceRefresh: this.#stepsSinceRefresh };
  }

  restore(given: unknown, completedSteps: number): void {
    const { stepsSinceRefresh } = checkValue(
      given,
      stateSchema,
      'subspace',
      'ERR_COMPACT_CHECKPOINT_INVALID',
    );
    if (stepsSinceRefresh !== completedSteps % this.#refreshInterval)
      throw compactError(
        'ERR_COMPACT_CHECKPOINT_INVALID',
        'the count of steps contradicts that of subspaces',
        {
          op: 'subspace',
          expected: `${completedSteps % this.#refreshInterval} steps since the last refresh, after ${completedSteps}`,
          received: `${stepsSinceRefresh}`,
        },
      );
    this.#steps = completedSteps;
  }
}
