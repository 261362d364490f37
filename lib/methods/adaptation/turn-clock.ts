import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { checkValue, wholeNumber } from '../../options.js';
import type { Clock, Refresh } from '../clock.js';

/** Whose turn it is, and for how long. */
export interface TurnClockOptions {
  /** Optimizer steps of a turn. */
  readonly switchInterval: number;
  /** What is trained in each turn of a round, by the number of the round: numbers of blocks, each once. */
  orderOf(round: number): readonly number[];
  /** The variant of the step that trains a block; undefined: the plain step. */
  variantOf(block: number): string | undefined;
  /** Entries that run between two turns. */
  readonly entries: readonly string[];
}

const stateSchema = v.object({ steps: wholeNumber(0) }, 'what state() gives');

/** After every `switchInterval` optimizer steps another block has its turn. */
export class TurnClock implements Clock {
  static readonly scalars = ['turnStep'] as const;
  readonly #options: TurnClockOptions;
  readonly #turnsOfRound: number;
  /** Optimizer steps done. */
  #steps = 0;

  constructor(options: TurnClockOptions) {
    this.#options = options;
    this.#turnsOfRound = options.orderOf(0).length;
  }

  get #block(): number {
    const turn = Math.floor(this.#steps / this.#options.switchInterval);
    const order = this.#options.orderOf(Math.floor(turn / this.#turnsOfRound));
    return order[turn % this.#turnsOfRound]!;
  }

  /** `turnStep`: steps of the turn, the next one included. */
  get scalars(): Readonly<Record<(typeof TurnClock.scalars)[number], number>> {
    return { turnStep: (this.#steps % this.#options.switchInterval) + 1 };
  }

  get variant(): string | undefined {
    return this.#options.variantOf(this.#block);
  }

  /** Tells the number of the block whose turn begins. */
  completeStep(): Refresh | undefined {
    const { switchInterval, entries } = this.#options;
    this.#steps++;
    if (this.#steps % switchInterval !== 0) return undefined;
    return { entries, report: { trainedBlock: this.#block } };
  }

  state(): v.InferOutput<typeof stateSchema> {
    return { steps: this.#steps };
  }

  restore(given: unknown, completedSteps: number): void {
    const state = checkValue(given, stateSchema, 'turn', 'ERR_COMPACT_CHECKPOINT_INVALID');
    if (state.steps !== completedSteps)
      throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', 'the counts of steps contradict each other', {
        op: 'turn',
        expected: `the ${completedSteps} steps that are done`,
        received: `${state.steps}`,
      });
    this.#steps = completedSteps;
  }
}
