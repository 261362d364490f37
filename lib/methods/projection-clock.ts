import * as v from 'valibot';
import { compactError } from '../errors.js';
import { checkValue, wholeNumber } from '../options.js';
import type { Clock, Refresh } from './clock.js';

/** When random projections change, and what follows from it. */
export interface ProjectionClockOptions {
  /** Optimizer steps between new projections. */
  readonly refreshInterval: number;
  /** Entries that run when they change. */
  readonly entries: readonly string[];
  /** Whether the count of steps that the first moment has seen starts again then. */
  readonly resetsFirstMoment: boolean;
}

/** JSON for checkpoints. */
interface ProjectionState {
  readonly stepsSinceRefresh: number;
  /** Steps that the first moment has seen. */
  readonly firstMomentSteps: number;
  /** Number of the projections: how often they have changed. */
  readonly epoch: number;
}

const count = wholeNumber(0);
const stateSchema = v.object(
  { stepsSinceRefresh: count, firstMomentSteps: count, epoch: count },
  'what state() gives',
);

/** Decides when projections are drawn anew: every `refreshInterval` optimizer steps their number goes up by one. */
export class ProjectionClock implements Clock {
  static readonly scalars = ['firstMomentStep', 'projectionEpoch', 'previousProjectionEpoch'] as const;
  readonly #options: ProjectionClockOptions;
  #state: ProjectionState = { stepsSinceRefresh: 0, firstMomentSteps: 0, epoch: 0 };

  constructor(options: ProjectionClockOptions) {
    this.#options = options;
  }

  get scalars(): Readonly<Record<(typeof ProjectionClock.scalars)[number], number>> {
    const { firstMomentSteps, epoch } = this.#state;
    return {
      firstMomentStep: firstMomentSteps + 1,
      projectionEpoch: epoch,
      previousProjectionEpoch: Math.max(0, epoch - 1),
    };
  }

  completeStep(): Refresh | undefined {
    const { refreshInterval, entries, resetsFirstMoment } = this.#options;
    const { stepsSinceRefresh, firstMomentSteps, epoch } = this.#state;
    const isRefresh = stepsSinceRefresh + 1 >= refreshInterval;
    this.#state = {
      stepsSinceRefresh: isRefresh ? 0 : stepsSinceRefresh + 1,
      firstMomentSteps: isRefresh && resetsFirstMoment ? 0 : firstMomentSteps + 1,
      epoch: isRefresh ? epoch + 1 : epoch,
    };
    return isRefresh ? { entries, report: { projectionEpoch: epoch + 1 } } : undefined;
  }

  state(): ProjectionState {
    return this.#state;
  }

  restore(given: unknown, completedSteps: number): void {
    const state = checkValue(given, stateSchema, 'projection', 'ERR_COMPACT_CHECKPOINT_INVALID');
    if (Math.max(...Object.values(state)) > completedSteps)
      throw compactError(
        'ERR_COMPACT_CHECKPOINT_INVALID',
        'the counts of steps and projections contradict each other',
        {
          op: 'projection',
          expected: `whole numbers, none beyond the ${completedSteps} steps that are done`,
          received: JSON.stringify(state),
        },
      );
    this.#state = state;
  }
}
