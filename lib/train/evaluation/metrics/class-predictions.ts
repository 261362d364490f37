import type { Batch } from '../../../data/index.js';
import { ignoreIndex } from '../../../data/index.js';
import type { Engine } from '../../../runtime/index.js';
import { accuracy, f1, macroF1, matthewsCorrelation } from './classification.js';

/** What a model for classes predicts of labelled sequences, batch by batch. */
export class ClassPredictions {
  readonly #engine: Pick<Engine, 'run'>;
  readonly #sequencesAtOnce: number;
  readonly #predictions: number[] = [];
  readonly #labels: number[] = [];
  #numClasses = 0;

  /** @param sequencesAtOnce of the entry `generate`; a divisor of the sequences of a batch */
  constructor(engine: Pick<Engine, 'run'>, sequencesAtOnce: number) {
    this.#engine = engine;
    this.#sequencesAtOnce = sequencesAtOnce;
  }

  /** A batch without labels adds nothing. */
  async add({ inputs }: Batch, signal?: AbortSignal): Promise<void> {
    const { labels, ...others } = inputs;
    if (labels === undefined) return;
    const read = Object.entries(others);
    for (let first = 0; first < labels.length; first += this.#sequencesAtOnce) {
      const part = read.map(([name, values]) => {
        const width = values.length / labels.length;
        return [name, values.slice(first * width, (first + this.#sequencesAtOnce) * width)] as const;
      });
      const { outputs } = await this.#engine.run('generate', { inputs: Object.fromEntries(part), signal });
      this.#count(outputs['logits'] as Float32Array, labels.subarray(first, first + this.#sequencesAtOnce));
    }
  }

  #count(logits: Float32Array, labels: Batch['inputs'][string]): void {
    this.#numClasses = logits.length / labels.length;
    labels.forEach((label, row) => {
      if (label === ignoreIndex) return;
      const own = logits.subarray(row * this.#numClasses, (row + 1) * this.#numClasses);
      this.#predictions.push(own.indexOf(Math.max(...own)));
      this.#labels.push(label);
    });
  }

  /** By name, `f1` (of class 1) for two classes only; undefined where there were no labels. */
  get metrics(): Readonly<Record<string, number>> | undefined {
    const [predictions, labels] = [this.#predictions, this.#labels];
    if (labels.length === 0) return undefined;
    return {
      accuracy: accuracy(predictions, labels),
      macroF1: macroF1(predictions, labels),
      matthewsCorrelation: matthewsCorrelation(predictions, labels),
      ...(this.#numClasses === 2 && { f1: f1(predictions, labels) }),
    };
  }
}
