import { differentiate } from '../compile/differentiate.js';
import { buildForward } from '../compile/forward.js';
import { numElements, parametersOf, type Value } from '../graph/index.js';
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
  /** Numbers of their gradients: fewer than of the parameters where a method compresses them, none of frozen ones. */
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
  const forward = buildForward('step', model, { ...sizes, dtype, purpose: 'train' }, method);
  const parameters = parametersOf(forward);
  const { gradients } = differentiate(forward, { method, gradientDtype, window: false });
  const parts = new Map<string, TrainedPart>();
  for (const parameter of parameters) {
    const gradient = gradients.get(parameter);
    const key = [partOf(parameter), storageOf(parameter), gradient !== undefined].join();
    const known = parts.get(key);
    parts.set(key, {
      part: partOf(parameter),
      storedAs: storageOf(parameter),
      isTrained: gradient !== undefined,
      numTensors: (known?.numTensors ?? 0) + 1,
      numParameters: (known?.numParameters ?? 0) + sizeOf(parameter),
      numGradients: (known?.numGradients ?? 0) + (gradient === undefined ? 0 : numElements(gradient.shape)),
    });
  }
  return [...parts.values()];
}

const partOf = ({ parameter }: Value): string =>
  parameter!.adapts === undefined ? parameter!.role : `adapter of ${parameter!.adapts}`;

const sizeOf = ({ shape, parameter }: Value): number => numElements(parameter!.codesOf?.shape ?? shape);

/** Codes are told by the type of their elements. */
const storageOf = ({ dtype }: Value): string => ({ i8: 'int8', u8: 'nf4' })[dtype as string] ?? dtype;
