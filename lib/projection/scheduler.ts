import * as v from 'valibot';
import { compactError } from '../errors.js';
import { checkValue, flag, wholeNumber } from '../options.js';

/** What a method says of its refreshes; undefined for methods without. */
export interface RefreshOptions {
  readonly everySteps: number;
  readonly resetsFirstMoment: boolean;
}

/** The runtime scalars of one optimizer step that the scheduler knows. */
export interface ProjectionScalars {
  /** 1 for the first step. */
  readonly step: number;
  /** Steps that the first moment will have seen after this one; starts again where a refresh resets that moment. */
  readonly firstMomentStep: number;
  readonly secondMomentStep: number;
  readonly projectionEpoch: number;
  readonly previousProjectionEpoch: number;
}

/** JSON for checkpoints. */
export interface ProjectionState {
  readonly completedSteps: number;
  readonly stepsSinceRefresh: number;
  /** Steps that the first moment has seen. */
  readonly firstMomentSteps: number;
  readonly epoch: number;
}

const refreshSchema = v.optional(
  v.object({ everySteps: wholeNumber(1), resetsFirstMoment: flag }, 'what a method says of its refreshes'),
);

const count = wholeNumber(0);
const stateSchema = v.object(
  { completedSteps: count, stepsSinceRefresh: count, firstMomentSteps: count, epoch: count },
  'what state() gives',
);

/**
 * Counts optimizer steps and decides when projections change. Nothing changes but by `completeStep`, which is called
 * after a weight update, so all micro-batches of an accumulation window see the same projection.
 *
 * @example
 * const scheduler = new ProjectionScheduler(method.refresh);
 * await engine.run('step', { scalars: { ...scheduler.scalars, learningRate } });
 * if (scheduler.completeStep()) await engine.run('refresh', { scalars: scheduler.scalars });
 */
export class ProjectionScheduler {
  readonly #refresh: RefreshOptions | undefined;
  #state: ProjectionState = { completedSteps: 0, stepsSinceRefresh: 0, firstMomentSteps: 0, epoch: 0 };

  /** @throws ERR_COMPACT_CONFIG_VALUE */
  constructor(refresh?: RefreshOptions) {
    this.#refresh = checkValue(refresh, refreshSchema, 'refresh');
  }

  /** Of the step that is next or under way; right after a refresh also those of the `refresh` entry. */
  get scalars(): ProjectionScalars {
    const { completedSteps, firstMomentSteps, epoch } = this.#state;
    return {
      step: completedSteps + 1,
      firstMomentStep: firstMomentSteps + 1,
      secondMomentStep: completedSteps + 1,
      projectionEpoch: epoch,
      previousProjectionEpoch: Math.max(0, epoch - 1),
    };
  }

  /**
   * Call after the update of a step. True when the projections have just changed: the plan's `refresh` entry, if there
   * is one, runs now, before anything else and before a checkpoint is written.
   */
  completeStep(): boolean {
    const { completedSteps, stepsSinceRefresh, firstMomentSteps, epoch } = this.#state;
    const { everySteps = Infinity, resetsFirstMoment = false } = this.#refresh ?? {};
    const isRefresh = stepsSinceRefresh + 1 >= everySteps;
    this.#state = {
      completedSteps: completedSteps + 1,
      stepsSinceRefresh: isRefresh ? 0 : stepsSinceRefresh + 1,
      firstMomentSteps: isRefresh && resetsFirstMoment ? 0 : firstMomentSteps + 1,
      epoch: isRefresh ? epoch + 1 : epoch,
    };
    return isRefresh;
  }

  state(): ProjectionState {
    return this.#state;
  }

  /** @throws ERR_COMPACT_CHECKPOINT_INVALID for anything that `state` cannot have given */
  restore(given: ProjectionState): void {
    const state = checkValue(given, stateSchema, 'projection', 'ERR_COMPACT_CHECKPOINT_INVALID');
    const { completedSteps, stepsSinceRefresh, firstMomentSteps, epoch } = state;
    if (Math.max(stepsSinceRefresh, firstMomentSteps, epoch) > completedSteps)
      throw compactError(
        'ERR_COMPACT_CHECKPOINT_INVALID',
        'the counts of steps and projections contradict each other',
        {
          op: 'projection',
          expected: 'whole numbers, none beyond completedSteps',
          received: JSON.stringify(state),
        },
      );
    this.#state = state;
  }
}
