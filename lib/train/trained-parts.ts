import { differentiate } from '../compile/differentiate.js';
import { buildForward } from '../compile/forward.js';
import { numElements, parametersOf, type Value } from '../graph/index.js';
import { formsOf } from '../methods/index.js';
import type { RunSettings } from './options/options.js';

/** Parameters of one role: whether they train, and what a step holds of their gradients. */
export interface TrainedPart {
  /** The role, e.g. 'query'; of adapters that of the weight beside which they stand, 'adapter of query'. */
  readonly part: string;
  readonly numTensors: number;
  /** Numbers of the parameters, as the model has them. */
  readonly numParameters: number;
  /** How they stand in memory: 'f32', 'bf16', or as codes, 'int8' or 'nf4'. */
  readonly storedAs: string;
  readonly isTrained: boolean;
  /**
   * Numbers of the gradients that a step has of them: fewer than of the parameters where a method compresses them or trains
   * some of them at a time, none of frozen ones.
   */
  readonly numGradients: number;
}

/**
 * What a run trains, by the role of the parameters, and what of it the method compresses. Nothing is allocated.
 */
export function trainedParts({
  model,
  method,
  dtype,
  gradientDtype,
}: Pick<RunSettings, 'model' | 'method' | 'dtype' | 'gradientDtype'>): readonly TrainedPart[] {
  // Which parameters there are does not depend on the sizes of a batch.
  const { sequencesOfExample: batchSize = 1 } = model;
  const sizes = { batchSize, sequenceLength: Math.min(64, model.maxSequenceLength) };
  const options = { ...sizes, dtype, purpose: 'train' } as const;
  const gradients = [...formsOf(method).values()].map((form) => {
    const forward = buildForward('step', model, options, form);
    const ofForm = differentiate(forward, { method: form, gradientDtype, window: false }).gradients;
    return new Map([...ofForm].map(([{ name }, { shape }]) => [name, numElements(shape)]));
  });
  const parts = new Map<string, Value[]>();
  for (const parameter of parametersOf(buildForward('step', model, options, method))) {
    const isTrained = gradients.some((ofForm) => ofForm.has(parameter.name));
    const key = [partOf(parameter), storageOf(parameter), isTrained].join();
    parts.set(key, [...(parts.get(key) ?? []), parameter]);
  }
  return [...parts.values()].map((parameters): TrainedPart => {
    const [first] = parameters as [Value];
    const numGradients = gradients.map((ofForm) => sum(parameters.map(({ name }) => ofForm.get(name) ?? 0)));
    return {
      part: partOf(first),
      storedAs: storageOf(first),
      isTrained: gradients.some((ofForm) => ofForm.has(first.name)),
      numTensors: parameters.length,
      numParameters: sum(parameters.map(sizeOf)),
      numGradients: Math.max(...numGradients),
    };
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const partOf = ({ parameter }: Value): string =>
  parameter!.adapts === undefined ? parameter!.role : `adapter of ${parameter!.adapts}`;

const sizeOf = ({ shape, parameter }: Value): number => numElements(parameter!.codesOf?.shape ?? shape);

/** Codes are told by the type of their elements. */
const storageOf = ({ dtype }: Value): string => ({ i8: 'int8', u8: 'nf4' })[dtype as string] ?? dtype;
