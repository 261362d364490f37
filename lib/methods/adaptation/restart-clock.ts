import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { checkValue, wholeNumber } from '../../options.js';
import type { Clock, Refresh } from '../clock.js';

/** When adapters are merged and begin again. */
export interface RestartOptions {
  /** Optimizer steps between restarts. */
  readonly resetInterval: number;
  /** Steps after a restart in which the learning rate rises to what it was. */
  readonly restartWarmupSteps: number;
  /** Entries that run at a restart. */
  readonly entries: readonly string[];
  /** Number of the first drawing of adapters; each restart has the next. */
  readonly firstDrawing: number;
}

const stateSchema = v.object({ steps: wholeNumber(0) }, 'what state() gives');

/** Every `resetInterval` optimizer steps adapters are merged into their weights and drawn anew. */
export class RestartClock implements Clock {
  static readonly scalars = ['adapterDrawing'] as const;
  readonly #options: RestartOptions;
  /** Optimizer steps done. */
  #steps = 0;

  constructor(options: RestartOptions) {
    this.#options = options;
  }

  get #restarts(): number {
    return Math.floor(this.#steps / this.#options.resetInterval);
  }

  get scalars(): Readonly<Record<(typeof RestartClock.scalars)[number], number>> {
    return { adapterDrawing: this.#options.firstDrawing + this.#restarts };
  }

  /** Linear from the first step after a restart; the start of a run warms up by its schedule. */
  get learningRateFactor(): number {
    const { resetInterval, restartWarmupSteps } = this.#options;
    const next = (this.#steps % resetInterval) + 1;
    return this.#restarts === 0 || next >= restartWarmupSteps ? 1 : next / restartWarmupSteps;
  }

  completeStep(): Refresh | undefined {
    const { resetInterval, entries } = this.#options;
    this.#steps++;
    if (this.#steps % resetInterval !== 0) return undefined;
    return { entries, report: { adapterRestarts: this.#restarts } };
  }

  state(): v.InferOutput<typeof stateSchema> {
    return { steps: this.#steps };
  }

  restore(given: unknown, completedSteps: number): void {
    const state = checkValue(given, stateSchema, 'restart', 'ERR_COMPACT_CHECKPOINT_INVALID');
    if (state.steps !== completedSteps)
      throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', 'the counts of steps contradict each other', {
        op: 'restart',
        expected: `the ${completedSteps} steps that are done`,
        received: JSON.stringify(state),
      });
    this.#steps = state.steps;
  }
}
