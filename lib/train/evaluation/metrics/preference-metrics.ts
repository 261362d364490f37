import type { Batch } from '../../../data/index.js';

/** What the answers of preference pairs come to under a model, batch by batch. */
export class PreferenceMetrics {
  readonly #beta: number;
  readonly #sums = { chosen: 0, rejected: 0, right: 0, logsChosen: 0, logsRejected: 0 };
  #numPairs = 0;

  /** @param beta of the loss; without one, batches add nothing */
  constructor({ beta = 0 }: { readonly beta?: number } = {}) {
    this.#beta = beta;
  }

  /** @param outputs of the run of the batch: `logRatios`, f32 (sequences) */
  add({ inputs }: Batch, outputs: Readonly<Record<string, ArrayLike<number>>>): void {
    const { referenceLogProbabilities: reference } = inputs;
    const { logRatios } = outputs;
    if (reference === undefined || logRatios === undefined) return;
    const sums = this.#sums;
    for (let i = 0; i < reference.length; i += 2) {
      if (Number.isNaN(reference[i]!)) continue;
      const [chosen, rejected] = [logRatios[i]!, logRatios[i + 1]!];
      sums.chosen += this.#beta * chosen;
      sums.rejected += this.#beta * rejected;
      sums.right += chosen > rejected ? 1 : 0;
      sums.logsChosen += chosen + reference[i]!;
      sums.logsRejected += rejected + reference[i + 1]!;
      this.#numPairs++;
    }
  }

  /** Means over the pairs, by name (`EvaluateReport.metrics`); undefined where there were none. */
  get metrics(): Readonly<Record<string, number>> | undefined {
    const [sums, count] = [this.#sums, this.#numPairs];
    if (count === 0) return undefined;
    return {
      rewardsChosen: sums.chosen / count,
      rewardsRejected: sums.rejected / count,
      rewardsMargin: (sums.chosen - sums.rejected) / count,
      rewardsAccuracy: sums.right / count,
      logProbabilitiesChosen: sums.logsChosen / count,
      logProbabilitiesRejected: sums.logsRejected / count,
    };
  }
}
