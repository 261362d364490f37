import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { checkValue, wholeNumber } from '../../options.js';
import type { Clock } from '../clock.js';

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
  #stepsSinceRefresh = 0;

  constructor(refreshInterval: number, variant: string) {
    this.#refreshInterval = refreshInterval;
    this.#variant = variant;
  }

  get variant(): string | undefined {
    return this.#stepsSinceRefresh === 0 ? this.#variant : undefined;
  }

  completeStep(): undefined {
    this.#stepsSinceRefresh = (this.#stepsSinceRefresh + 1) % this.#refreshInterval;
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
    this.#stepsSinceRefresh = stepsSinceRefresh;
  }
}
