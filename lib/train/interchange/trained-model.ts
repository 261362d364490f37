import { join } from 'node:path';
import { SafetensorsFile, weightsFileName, type TensorReader } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { factorName, inverseNormsName, magnitudeName } from '../../methods/adaptation/low-rank-adapter.js';
import { methodFromDescription, methodNames } from '../../methods/index.js';
import { modelFromDescription } from '../../models/index.js';
import { readState, type CheckpointState } from '../checkpoints/checkpoint-state.js';
import { checkTensors } from '../weights/model-weights.js';
import { adaptersOfCheckpoint, type Adapters } from './adapters.js';
import { withoutCodes } from './coded-weights.js';
import { withMadeTensors } from './tensor-view.js';

/** A checkpoint that was opened: the weights that it has, and adapters beside them. */
export interface TrainedModel extends AsyncDisposable {
  readonly path: string;
  readonly state: CheckpointState;
  /** The description of its method, with all options. */
  readonly method: Readonly<Record<string, unknown>>;
  readonly model: Model;
  /** Without adapters, codes decoded. */
  readonly weights: TensorReader;
  readonly adapters: Adapters;
}

/** @throws ERR_COMPACT_CHECKPOINT_* */
export async function openTrainedModel(path: string): Promise<TrainedModel> {
  const state = await readState(path);
  const model = modelFromDescription(state.model);
  // A method of the caller's own may only have trained the model's weights.
  const isKnown = methodNames.includes(state.method['name'] as string);
  const method = isKnown ? methodFromDescription(state.method).describe() : state.method;
  const files = await SafetensorsFile.open(join(path, weightsFileName));
  try {
    const adapters = adaptersOfCheckpoint(files, model, method);
    const factors = new Set(
      [...adapters.keys()].flatMap((weight) => [
        ...[factorName(weight, 'A'), factorName(weight, 'B')],
        ...[magnitudeName(weight), inverseNormsName(weight)],
      ]),
    );
    const withoutFactors = withMadeTensors(files, new Map(), (name) => !factors.has(name));
    const weights = withoutCodes(withoutFactors, model);
    checkTensors(weights, model, 'checkpoint');
    return { path, state, method, model, weights, adapters, [Symbol.asyncDispose]: () => files.close() };
  } catch (error) {
    await files.close();
    throw error;
  }
}
