/** Recordings of test/fixtures/models: small checkpoints as transformers save them, and what transformers make of them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Model, StoredParameter } from '../../lib/graph/index.js';
import { type Tensor, tensor } from '../reference/index.js';
import { readJson, readTensors } from './fixtures.js';

/** Of every tensor of a file its product with `directionOf`, and its norm. */
export type Summary = Readonly<Record<string, readonly [number, number]>>;

export interface RecordedTraining {
  readonly adam: { readonly betas: [number, number]; readonly epsilon: number; readonly weightDecay: number };
  readonly learningRates: readonly number[];
  readonly batches: readonly { readonly tokens: number[]; readonly targets: number[] }[];
  readonly losses: readonly number[];
  /** Of the first step. */
  readonly gradients: Summary;
  /** Weights after the last step. */
  readonly after: Summary;
  /** Largest differences of the same program in float32. */
  readonly naiveErrors: Readonly<Record<'losses' | 'gradients' | 'after', number>>;
}

export interface RecordedModel {
  /** What the model was made of, as a config.json of the time of its architecture. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The config.json that transformers write of it. */
  readonly saved: Readonly<Record<string, unknown>>;
  readonly tokens: readonly number[];
  /** Of every position. */
  readonly logits: readonly (readonly number[])[];
  /** Of the logits: the largest in float32, and the norm of all in bf16. */
  readonly naiveErrors: Readonly<Record<'f32' | 'bf16', number>>;
  readonly training?: RecordedTraining;
}

export const recordedModels: readonly string[] = readdirSync(join(__dirname, '../fixtures/models'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));

export const readModel = (name: string): RecordedModel => readJson(`models/${name}.json`) as RecordedModel;

/** The parameters of a recorded model as its graph has them. */
export function readParameters(name: string, model: Model): ReadonlyMap<string, Tensor> {
  const tensors = readTensors(`models/${name}.safetensors`);
  return new Map(
    model.weights.map((stored) => [stored.parameter, inGraph(stored, tensors.get(stored.tensor)!)]),
  );
}

/** Tensors as a file holds them, of parameters or their gradients as a graph does. */
export function asInFile(model: Model, parameters: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  return new Map(
    model.weights.map((stored) => [stored.tensor, inFile(stored, parameters.get(stored.parameter)!)]),
  );
}

function inGraph({ layout }: StoredParameter, found: Tensor): Tensor {
  return layout === 'transposed' ? transposed(found) : found;
}

function inFile({ layout }: StoredParameter, parameter: Tensor): Tensor {
  return layout === 'transposed' ? transposed(parameter) : parameter;
}

function transposed({ shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as [number, number];
  const result = data.map((_, at) => data[(at % rows) * columns + Math.floor(at / rows)]!);
  return tensor([columns, rows], result);
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
