/** Recordings of test/fixtures/models: small checkpoints as transformers save them, and what transformers make of them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Graph, type Model, type StoredParameter } from '../../lib/graph/index.js';
import type { HostArray } from '../../lib/runtime/index.js';
import { type Tensor, tensor } from '../reference/index.js';
import { readJson, readTensors } from './fixtures.js';

/** Of every tensor of a file its product with `directionOf`, and its norm. */
export type Summary = Readonly<Record<string, readonly [number, number]>>;

export type RecordedBatch = Readonly<Record<'tokens', number[]> & Partial<Record<RecordedField, number[]>>>;
type RecordedField = 'attentionMask' | 'tokenTypes' | 'targets' | 'labels' | 'referenceLogProbabilities';

export interface RecordedTraining {
  readonly adam: { readonly betas: [number, number]; readonly epsilon: number; readonly weightDecay: number };
  readonly learningRates: readonly number[];
  /** What the model reads, by the names of its fields. */
  readonly batches: readonly RecordedBatch[];
  readonly losses: readonly number[];
  /** Of the first step. */
  readonly gradients: Summary;
  /** Weights after the last step. */
  readonly after: Summary;
  /** Largest differences of the same program in float32. */
  readonly naiveErrors: Readonly<Record<'losses' | 'gradients' | 'after', number>>;
}

/** One sequence, or several, and what a model makes of them. */
export interface RecordedModel extends RecordedBatch {
  /** What the model was made of, as a config.json of the time of its architecture. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The config.json that transformers write of it. */
  readonly saved: Readonly<Record<string, unknown>>;
  /** Default 1. */
  readonly sequences?: number;
  /** Of every position that is no padding; or of every sequence, a row each. */
  readonly logits: readonly (readonly number[])[];
  /** Of the logits: the largest in float32, and the norm of all in bf16. */
  readonly naiveErrors: Readonly<Record<'f32' | 'bf16', number>>;
  readonly training?: RecordedTraining;
}

export const recordedModels: readonly string[] = readdirSync(join(__dirname, '../fixtures/models'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));

const arrays = { i32: Int32Array, u8: Uint8Array, f32: Float32Array };

/** What a model reads of a recorded batch, in the types of its fields. */
export const inputsOf = ({ batchFields }: Model, batch: RecordedBatch): Record<string, HostArray> =>
  Object.fromEntries(
    batchFields.flatMap(({ name, dtype }) => {
      const values = batch[name as keyof RecordedBatch];
      return values === undefined ? [] : [[name, arrays[dtype].from(values)]];
    }),
  );

export const readModel = (name: string): RecordedModel => readJson(`models/${name}.json`) as RecordedModel;

/** The parameters of a recorded model as its graph has them. */
export function readParameters(name: string, model: Model): ReadonlyMap<string, Tensor> {
  const tensors = readTensors(`models/${name}.safetensors`);
  const graph = new Graph();
  model.build(graph, { batchSize: 1, sequenceLength: 1, dtype: 'f32', purpose: 'train' });
  const shapes = new Map(graph.parameters.map((parameter) => [parameter.name, parameter.shape]));
  return new Map(
    model.weights.map((stored) => [
      stored.parameter,
      inGraph(stored, shapes.get(stored.parameter)!, tensors.get(stored.tensor)!),
    ]),
  );
}

/** Tensors as a file holds them, of parameters or their gradients as a graph does. */
export function asInFile(model: Model, parameters: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const whole = new Map<string, Tensor>();
  for (const { parameter, tensor: name, layout, part } of model.weights) {
    const found = parameters.get(parameter)!;
    const width = found.shape.at(-1)!;
    const { first, of } = part ?? { first: 0, of: width };
    const shape = [...found.shape.slice(0, -1), of];
    const inFile = whole.get(name) ?? tensor(layout === 'transposed' ? shape.toReversed() : shape);
    whole.set(name, inFile);
    found.data.forEach((value, at) => {
      const [row, column] = [Math.floor(at / width), first + (at % width)];
      const rows = found.data.length / width;
      inFile.data[layout === 'transposed' ? column * rows + row : row * of + column] = value;
    });
  }
  return whole;
}

/** One parameter of a tensor of a file. */
function inGraph({ layout, part }: StoredParameter, shape: readonly number[], found: Tensor): Tensor {
  const width = shape.at(-1)!;
  const { first, of } = part ?? { first: 0, of: width };
  const result = tensor(shape);
  const rows = result.data.length / width;
  result.data.forEach((_, at) => {
    const [row, column] = [Math.floor(at / width), first + (at % width)];
    result.data[at] = found.data[layout === 'transposed' ? column * rows + row : row * of + column]!;
  });
  return result;
}

/** A direction that involves every element. */
export const summaryOf = (tensors: ReadonlyMap<string, Tensor>): Summary =>
  Object.fromEntries(
    [...tensors].map(([name, { data }]) => [
      name,
      [
        data.reduce((sum, value, element) => sum + value * Math.cos(element + 1), 0),
        Math.sqrt(data.reduce((sum, value) => sum + value * value, 0)),
      ] as const,
    ]),
  );
