import { classesAtOnce } from '../../../data/records/labelled-batch.js';
import type { BatchField } from '../../../graph/index.js';
import type { Batch } from '../../../data/index.js';
import { ignoreIndex } from '../../../data/index.js';
import type { Engine } from '../../../runtime/index.js';
import { labelMetrics } from './label-metrics.js';

/** What a model for classes, or for a number, predicts of labelled sequences, batch by batch. */
export class LabelPredictions {
  readonly #engine: Pick<Engine, 'run'>;
  readonly #field: BatchField;
  readonly #sequencesAtOnce: number;
  readonly #predictions: number[] = [];
  readonly #labels: number[] = [];

  /**
   * @param field that the model reads labels from
   * @param sequencesAtOnce of the entry `generate`; a divisor of the sequences of a batch
   */
  constructor(engine: Pick<Engine, 'run'>, field: BatchField, sequencesAtOnce: number) {
    this.#engine = engine;
    this.#field = field;
    this.#sequencesAtOnce = sequencesAtOnce;
  }

  /** @param batch with labels */
  async add({ inputs }: Batch, signal?: AbortSignal): Promise<void> {
    const { labels, ...others } = inputs;
    const labelsOfSequence = classesAtOnce(this.#field) ?? 1;
    const numSequences = labels!.length / labelsOfSequence;
    const partOf = (values: Batch['inputs'][string], first: number): Batch['inputs'][string] => {
      const width = values.length / numSequences;
      return values.slice(first * width, (first + this.#sequencesAtOnce) * width);
    };
    for (let first = 0; first < numSequences; first += this.#sequencesAtOnce) {
      const part = Object.entries(others).map(([name, values]) => [name, partOf(values, first)] as const);
      const { outputs } = await this.#engine.run('generate', { inputs: Object.fromEntries(part), signal });
      this.#count(outputs['logits'] as Float32Array, partOf(labels!, first));
    }
  }

  #count(logits: Float32Array, labels: Batch['inputs'][string]): void {
    const outputsOfLabel = logits.length / labels.length;
    labels.forEach((label, row) => {
      if (Number.isNaN(label) || (this.#field.dtype === 'i32' && label === ignoreIndex)) return;
      const own = logits.subarray(row * outputsOfLabel, (row + 1) * outputsOfLabel);
      this.#predictions.push(this.#predicted(own));
      this.#labels.push(label);
    });
  }

  /** The number; of several classes at once whether it is one of them, likelier than not; else the likeliest class. */
  #predicted(logits: Float32Array): number {
    if (this.#field.dtype === 'f32') return logits[0]!;
    return classesAtOnce(this.#field) === undefined
      ? logits.indexOf(Math.max(...logits))
      : Number(logits[0]! > 0);
  }

  /** By name. */
  get metrics(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Object.entries(labelMetrics(this.#field)).map(([name, measure]) => [
        name,
        measure(this.#predictions, this.#labels),
      ]),
    );
  }
}
