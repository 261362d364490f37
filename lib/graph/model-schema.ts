import * as v from 'valibot';
import type { Model } from './model.js';

/** A model is an object of functions, so only its outline can be checked. */
export const modelSchema = v.custom<Model>(isModel, "a model, e.g. llama('llama-demo')");

function isModel(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { name, vocabularySize, maxSequenceLength, numParameters, ...rest } = value as Partial<Model>;
  return (
    typeof name === 'string' &&
    [vocabularySize, maxSequenceLength, numParameters].every(
      (count) => Number.isSafeInteger(count) && count! > 0,
    ) &&
    [rest.build, rest.constants, rest.describe, rest.pretrainedConfig].every(
      (part) => typeof part === 'function',
    )
  );
}
