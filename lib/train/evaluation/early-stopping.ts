import type { CheckpointState } from '../checkpoints/checkpoint-state.js';
import { isBetter, type BestModelMetric } from './best-metric.js';

/** Ends a run that has stopped to improve: counts evaluations in a row that are not better than the best before them. */
export class EarlyStopping {
  /** 0: never. */
  readonly #patience: number;
  readonly #metric: BestModelMetric;
  #best: number | undefined;
  #numWorse: number;

  /** @param state of a run that goes on; of another metric nothing is taken over */
  constructor(patience: number, metric: BestModelMetric, state?: CheckpointState['patience']) {
    this.#patience = patience;
    this.#metric = metric;
    const known = state?.metric === metric ? state : undefined;
    this.#best = known?.value;
    this.#numWorse = known?.numWorse ?? 0;
  }

  add(value: number): void {
    // What is no number is not better than anything.
    const isBest = isBetter(this.#metric, value, this.#best);
    this.#numWorse = isBest ? 0 : this.#numWorse + 1;
    if (isBest) this.#best = value;
  }

  get isDue(): boolean {
    return this.#patience > 0 && this.#numWorse >= this.#patience;
  }

  /** What a checkpoint holds of it; nothing before the first evaluation. */
  get state(): CheckpointState['patience'] {
    return this.#best === undefined
      ? undefined
      : { metric: this.#metric, value: this.#best, numWorse: this.#numWorse };
  }
}
