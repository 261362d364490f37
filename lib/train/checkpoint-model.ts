import { join } from 'node:path';
import { compile } from '../compile/index.js';
import type { CompileOptions } from '../compile/index.js';
import { checkVocabulary, loadTokenizer } from '../data/index.js';
import type { Tokenizer } from '../data/index.js';
import { compactError } from '../errors.js';
import type { Model } from '../graph/index.js';
import { dense, methodFromDescription, methodNames } from '../methods/index.js';
import type { Method } from '../methods/index.js';
import { modelFromDescription } from '../models/index.js';
import { deviceTarget, Engine } from '../runtime/index.js';
import type { EngineOptions } from '../runtime/index.js';
import { vocabularyOf } from './batch-fields.js';
import { listCheckpoints } from './checkpoint-folder.js';
import { readState } from './checkpoint-state.js';
import type { CheckpointState } from './checkpoint-state.js';
import { checkFits, loadPlan } from './fit.js';
import type { Resources } from './resources.js';
import { loadTensors, openTensors, writeConstants } from './tensor-files.js';

/** The model of a checkpoint as it describes itself; its weights are not read yet. */
export interface CheckpointModel {
  readonly checkpoint: string;
  readonly state: CheckpointState;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/**
 * @param folder a checkpoint, or an output folder: its latest
 * @throws ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_TOKENIZER
 */
export async function readCheckpointModel(folder: string): Promise<CheckpointModel> {
  const checkpoint = (await listCheckpoints(folder)).at(-1)?.path ?? folder;
  const state = await readState(checkpoint);
  const model = describedModel(checkpoint, state.model);
  const tokenizer = await loadTokenizer(tokenizerOf(checkpoint, state));
  checkVocabulary(tokenizer, vocabularyOf(model));
  return { checkpoint, state, model, tokenizer };
}

/** Where the tokenizer of a checkpoint is, in the words of DataOptions. */
export const tokenizerOf = (checkpoint: string, { data }: CheckpointState): string =>
  data.tokenizer === 'bytes' ? 'bytes' : checkpoint;

/**
 * Opens an engine with the weights of a checkpoint and one entry, and nothing of training. It belongs to `resources`.
 * @throws ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT, ERR_COMPACT_CHECKPOINT_*
 */
export async function loadCheckpointModel(
  { checkpoint, state, model }: CheckpointModel,
  work: {
    readonly entry: 'evaluate' | 'generate';
    readonly batchSize: number;
    readonly sequenceLength: number;
  },
  options: EngineOptions,
  resources: Resources,
): Promise<Engine> {
  const { entry, batchSize, sequenceLength } = work;
  const engine = resources.use(await Engine.open(options));
  const compileOptions: CompileOptions = {
    model,
    sequenceLength,
    batchSize,
    dtype: state.training.dtype,
    method: describedMethod(checkpoint, state.method),
    entries: [entry],
    target: deviceTarget(engine.device.kind, { threads: engine.threads }),
  };
  const plan = compile(compileOptions);
  checkFits(plan, compileOptions, engine.memoryLimitBytes);
  const fileName = 'model.safetensors';
  await using file = await openTensors(join(checkpoint, fileName), plan, model, fileName);
  await loadPlan(engine, plan, compileOptions);
  await writeConstants(engine, plan, model, sequenceLength);
  await loadTensors(engine, plan, model, fileName, file);
  return engine;
}

function describedModel(checkpoint: string, description: Readonly<Record<string, unknown>>): Model {
  try {
    return modelFromDescription(description);
  } catch (cause) {
    throw impossible(checkpoint, 'a model', cause);
  }
}

/** The method, whose forward pass the weights belong to; a method of the caller's own may only have trained the model's. */
function describedMethod(checkpoint: string, description: Readonly<Record<string, unknown>>): Method {
  if (!methodNames.includes(description['name'] as string)) return dense();
  try {
    return methodFromDescription(description);
  } catch (cause) {
    throw impossible(checkpoint, 'a method', cause);
  }
}

const impossible = (checkpoint: string, what: string, cause: unknown): Error =>
  compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${checkpoint} describes ${what} that cannot be`, {
    received: (cause as Error).message,
    cause,
  });
