import * as v from 'valibot';
import { wholeNumber } from '../options.js';
import type { BatchField } from './batch-field.js';
import type { Model } from './model.js';
import type { WeightMap } from './weight-map.js';

const batchFields: v.GenericSchema<BatchField[]> = v.array(
  v.strictObject({
    name: v.string(),
    dtype: v.picklist(['i32', 'u8', 'f32']),
    shape: v.array(v.union([v.picklist(['batchSize', 'sequenceLength']), wholeNumber(1)])),
    numIds: v.optional(wholeNumber(1)),
  }),
);

const weights: v.GenericSchema<WeightMap> = v.array(
  v.strictObject({
    parameter: v.string(),
    tensor: v.string(),
    layout: v.picklist(['same', 'transposed']),
    part: v.optional(v.strictObject({ first: wholeNumber(0), of: wholeNumber(1) })),
    tiedTensors: v.optional(v.array(v.string())),
    isOwnHead: v.optional(v.boolean()),
  }),
);

const parts: Readonly<Record<keyof Model, true>> = {
  ...{ name: true, vocabularySize: true, maxSequenceLength: true, numParameters: true, batchFields: true },
  ...{ packedFields: true, weights: true, bodyPrefix: true, otherHeads: true, sequencesOfExample: true },
  ...{ isCausal: true, build: true, constants: true, describe: true, pretrainedConfig: true },
};

/** A model is an object of functions, so beside its plain parts only its outline can be checked. */
export const modelSchema = v.custom<Model>(isModel, "a model, e.g. llama('llama-demo')");

function isModel(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { name, vocabularySize, maxSequenceLength, numParameters, ...rest } = value as Partial<Model>;
  return (
    Object.keys(value).every((key) => Object.hasOwn(parts, key)) &&
    typeof name === 'string' &&
    [vocabularySize, maxSequenceLength, numParameters].every(
      (count) => Number.isSafeInteger(count) && count! > 0,
    ) &&
    [rest.build, rest.constants, rest.describe, rest.pretrainedConfig].every(
      (part) => typeof part === 'function',
    ) &&
    v.is(batchFields, rest.batchFields) &&
    v.is(v.optional(batchFields), rest.packedFields) &&
    v.is(v.optional(wholeNumber(1)), rest.sequencesOfExample) &&
    v.is(v.optional(v.literal(true)), rest.isCausal) &&
    v.is(v.optional(v.string()), rest.bodyPrefix) &&
    v.is(v.optional(v.array(v.string())), rest.otherHeads) &&
    v.is(weights, rest.weights)
  );
}
