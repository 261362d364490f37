import { types } from 'node:util';
import type { Batch } from '../../../data/index.js';
import { ignoreIndex } from '../../../data/index.js';
import type { Engine } from '../../../runtime/index.js';
import { labelMetrics } from './label-metrics.js';

/** What a model for classes, or for a number, predicts of labelled sequences, batch by batch. */
export class LabelPredictions {
  readonly #engine: Pick<Engine, 'run'>;
  readonly #sequencesAtOnce: number;
  readonly #predictions: number[] = [];
  readonly #labels: number[] = [];
  /** Numbers that the model gives for each sequence. */
  #numOutputs = 0;
  #areNumbers = false;

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
    this.#numOutputs = logits.length / labels.length;
    this.#areNumbers = types.isFloat32Array(labels);
    labels.forEach((label, row) => {
      if (this.#areNumbers ? Number.isNaN(label) : label === ignoreIndex) return;
      const own = logits.subarray(row * this.#numOutputs, (row + 1) * this.#numOutputs);
      this.#predictions.push(this.#areNumbers ? own[0]! : own.indexOf(Math.max(...own)));
      this.#labels.push(label);
    });
  }

  /** By name; undefined where there were no labels. */
  get metrics(): Readonly<Record<string, number>> | undefined {
    const [predictions, labels] = [this.#predictions, this.#labels];
    if (labels.length === 0) return undefined;
    const measured = labelMetrics({ dtype: this.#areNumbers ? 'f32' : 'i32', numIds: this.#numOutputs });
    return Object.fromEntries(
      Object.entries(measured).map(([name, measure]) => [name, measure(predictions, labels)]),
    );
  }
}
