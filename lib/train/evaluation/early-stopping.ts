import type { CheckpointState } from '../checkpoints/checkpoint-state.js';

/** Ends a run that has stopped to improve: counts evaluations in a row that are not below the lowest loss before them. */
export class EarlyStopping {
  /** 0: never. */
  readonly #patience: number;
  #lowestLoss: number;
  #numWorse: number;

  constructor(patience: number, { lowestLoss, numWorse }: CheckpointState['patience'] = initial) {
    this.#patience = patience;
    this.#lowestLoss = lowestLoss;
    this.#numWorse = numWorse;
  }

  add(loss: number): void {
    // A loss that is no number is not below anything.
    const isLower = loss < this.#lowestLoss;
    this.#numWorse = isLower ? 0 : this.#numWorse + 1;
    if (isLower) this.#lowestLoss = loss;
  }

  get isDue(): boolean {
    return this.#patience > 0 && this.#numWorse >= this.#patience;
  }

  /** What a checkpoint holds of it; nothing before the first evaluation. */
  get state(): CheckpointState['patience'] {
    return this.#lowestLoss === Infinity
      ? undefined
      : { lowestLoss: this.#lowestLoss, numWorse: this.#numWorse };
  }
}

const initial = { lowestLoss: Infinity, numWorse: 0 };
