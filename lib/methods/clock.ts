import * as v from 'valibot';
import { compactError } from '../errors.js';
import type { Graph, Value } from '../graph/index.js';
import { checkValue, recordOf, wholeNumber } from '../options.js';
import { methodSchema, type Method } from './method.js';

/** What a method needs of one of its clocks before any step: what the compiler builds, and how counting starts. */
export interface ClockRules {
  /** The runtime scalars that the clock gives, beside those that every training loop has. */
  readonly scalars: readonly string[];
  /** Entries that run between steps, by name: adds the nodes of one parameter; none for most of them. */
  readonly entries?: Readonly<Record<string, (graph: Graph, parameter: Value) => void>>;
  start(): Clock;
}

/** Something that a method counts from one optimizer step to the next. */
export interface Clock {
  /** Of the step that is next or under way; right after `completeStep` also for the entries that it names. */
  readonly scalars: Readonly<Record<string, number>>;
  /** The variant of the method that the next step is; undefined: the plain step. */
  readonly variant?: string;
  /** Multiplies all learning rates of that step. Absent: 1. */
  readonly learningRateFactor?: number;
  /** Call after the update of a step. Something changed when it gives anything. */
  completeStep(): Refresh | undefined;
  /** JSON for checkpoints. */
  state(): unknown;
  /** @throws ERR_COMPACT_CHECKPOINT_INVALID for anything that `state` cannot have given after so many steps */
  restore(state: unknown, completedSteps: number): void;
}

/** What happens between two steps. */
export interface Refresh {
  /** Entries of the plan that run now, before anything else and before a checkpoint is written. */
  readonly entries: readonly string[];
  /** What to tell about it, by name; nothing of what happens after every step. */
  readonly report: Readonly<Record<string, number>>;
}

/** States of the clocks of a method by name: JSON for checkpoints. */
export type ClockStates = Readonly<Record<string, unknown>>;

const statesSchema = recordOf(v.unknown(), 'states of clocks by name');

/**
 * Counts the optimizer steps of a run, and what its method counts with them. Nothing changes but by `completeStep`,
 * which is called after a weight update, so all micro-batches of an accumulation window see the same numbers.
 *
 * @example
 * const clock = new StepClock(method);
 * const learningRate = clock.learningRateFactor * schedule(clock.completedSteps);
 * await engine.run('step', { scalars: { ...clock.scalars, learningRate } });
 * for (const entry of clock.completeStep()?.entries ?? []) await engine.run(entry, { scalars: clock.scalars });
 */
export class StepClock {
  readonly #clocks: ReadonlyMap<string, Clock>;
  #completedSteps = 0;

  /** @throws ERR_COMPACT_CONFIG_VALUE for anything that is no method */
  constructor(method: Method) {
    const { clocks = {} } = checkValue(method, methodSchema, 'method');
    this.#clocks = new Map(Object.entries(clocks).map(([name, rules]) => [name, rules.start()]));
  }

  get completedSteps(): number {
    return this.#completedSteps;
  }

  /** Of the step that is next or under way: `step`, 1 for the first, and what the method counts. */
  get scalars(): Readonly<Record<string, number>> {
    const counted = [...this.#clocks.values()].map(({ scalars }) => scalars);
    return Object.assign({ step: this.#completedSteps + 1 }, ...counted) as Record<string, number>;
  }

  /** The variant of the method that the next step is: the entry `step:<variant>`, or `accumulate` and `update` of it. */
  get variant(): string | undefined {
    return [...this.#clocks.values()].find(({ variant }) => variant !== undefined)?.variant;
  }

  /** Multiplies all learning rates of the step that is next. */
  get learningRateFactor(): number {
    return [...this.#clocks.values()].reduce(
      (product, { learningRateFactor = 1 }) => product * learningRateFactor,
      1,
    );
  }

  /** Call after the update of a step. Where it gives something, its entries run before anything else. */
  completeStep(): Refresh | undefined {
    this.#completedSteps++;
    const refreshes = [...this.#clocks.values()].flatMap((clock) => clock.completeStep() ?? []);
    if (refreshes.length === 0) return undefined;
    return {
      entries: refreshes.flatMap(({ entries }) => entries),
      report: Object.assign({}, ...refreshes.map(({ report }) => report)) as Refresh['report'],
    };
  }

  states(): ClockStates {
    return Object.fromEntries([...this.#clocks].map(([name, clock]) => [name, clock.state()]));
  }

  /** @throws ERR_COMPACT_CHECKPOINT_INVALID for anything that `states` cannot have given after so many steps */
  restore(completedSteps: number, given: ClockStates): void {
    checkValue(completedSteps, wholeNumber(0), 'step', 'ERR_COMPACT_CHECKPOINT_INVALID');
    const states = checkValue(given, statesSchema, 'clocks', 'ERR_COMPACT_CHECKPOINT_INVALID');
    const names = Object.keys(states);
    if (names.length !== this.#clocks.size || !names.every((name) => this.#clocks.has(name)))
      throw compactError(
        'ERR_COMPACT_CHECKPOINT_INVALID',
        'the state of the method is not that of its clocks',
        {
          op: 'clocks',
          expected: [...this.#clocks.keys()].join(', ') || 'none',
          received: names.join(', ') || 'none',
        },
      );
    for (const [name, clock] of this.#clocks) clock.restore(states[name], completedSteps);
    this.#completedSteps = completedSteps;
  }
}
