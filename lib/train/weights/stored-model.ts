import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../../compile/index.js';
import type { CompileOptions, Plan } from '../../compile/index.js';
import { byteTokenizer } from '../../data/byte-tokenizer.js';
import { checkVocabulary, loadTokenizer } from '../../data/index.js';
import type { Tokenizer } from '../../data/index.js';
import { compactError } from '../../errors.js';
import type { Model } from '../../graph/index.js';
import { dense, methodFromDescription, methodNames } from '../../methods/index.js';
import type { Method } from '../../methods/index.js';
import { modelFromDescription } from '../../models/index.js';
import { deviceTarget, Engine } from '../../runtime/index.js';
import type { EngineOptions } from '../../runtime/index.js';
import { computedDType, openBaseModel } from './base-model.js';
import { vocabularyOf } from '../batch-fields.js';
import { listCheckpoints } from '../checkpoints/checkpoint-folder.js';
import { readState, stateFileName } from '../checkpoints/checkpoint-state.js';
import { checkFits, loadPlan } from '../fit.js';
import { configFileName, loadModel } from './load-model.js';
import type { Resources } from '../resources.js';
import { loadTensors, openTensors, writeConstants } from './tensor-files.js';

/** A model on disk as its files describe it; its weights are not read yet. */
export interface StoredModel {
  /** A checkpoint, or a folder in the layout of Hugging Face's checkpoints. */
  readonly path: string;
  /** Of a checkpoint: optimizer steps done. */
  readonly step: number | undefined;
  readonly model: Model;
  /** Whose forward pass the weights belong to. */
  readonly method: Method;
  /** Of the numbers, as they are computed with. */
  readonly dtype: 'f32' | 'bf16';
  readonly tokenizer: Tokenizer;
  /** The same in the words of DataOptions. */
  readonly tokenizerPath: string;
  /** Of a checkpoint: tokens of the sequences that it was trained on. */
  readonly sequenceLength: number | undefined;
}

/**
 * @param source a checkpoint, an output folder: its latest, or a folder in the layout of Hugging Face's checkpoints
 * @param givenTokenizer instead of that of the folder, in the words of DataOptions
 * @throws ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_MODEL_*, ERR_COMPACT_TOKENIZER
 */
export async function readStoredModel(source: string, givenTokenizer?: string): Promise<StoredModel> {
  const path = (await listCheckpoints(source)).at(-1)?.path ?? source;
  const isFolder = existsSync(join(path, configFileName)) && !existsSync(join(path, stateFileName));
  const found = isFolder ? await readFolder(path) : await readCheckpoint(path);
  const tokenizerPath = givenTokenizer ?? found.tokenizerPath;
  const tokenizer = await loadTokenizer(tokenizerPath);
  checkVocabulary(tokenizer, vocabularyOf(found.model));
  return { ...found, path, tokenizerPath, tokenizer };
}

/** Of a model that does not say what it was trained on at most: longer sequences take more memory than its weights. */
const longestDefault = 2048;

/** Tokens of a sequence where nobody says how many. */
export const defaultSequenceLength = ({
  sequenceLength = longestDefault,
  model: { maxSequenceLength },
}: Pick<StoredModel, 'sequenceLength' | 'model'>): number => Math.min(sequenceLength, maxSequenceLength);

type Described = Omit<StoredModel, 'path' | 'tokenizer'>;

async function readCheckpoint(path: string): Promise<Described> {
  const { step, model, method, training, data } = await readState(path);
  const { dtype, sequenceLength } = training;
  return {
    ...{ step, dtype, sequenceLength },
    model: describedModel(path, model),
    method: describedMethod(path, method),
    tokenizerPath: data.tokenizer === byteTokenizer.name ? byteTokenizer.name : path,
  };
}

async function readFolder(path: string): Promise<Described> {
  const model = loadModel(path);
  await using base = await openBaseModel(path, model, { isWhole: true });
  const dtype = computedDType(base);
  return { model, method: dense(), dtype, tokenizerPath: path, step: undefined, sequenceLength: undefined };
}

/**
 * Opens an engine with the weights of a model and one entry, and nothing of training. It belongs to `resources`.
 * @throws ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT, ERR_COMPACT_CHECKPOINT_*
 */
export async function loadStoredModel(
  { path, step, model, method, dtype }: StoredModel,
  work: Pick<CompileOptions, 'entries' | 'batchSize' | 'generateBatchSize' | 'sequenceLength' | 'isPacked'>,
  options: EngineOptions,
  resources: Resources,
): Promise<{ readonly engine: Engine; readonly plan: Plan }> {
  const engine = resources.use(await Engine.open(options));
  const target = deviceTarget(engine.device.kind, { threads: engine.threads });
  const compileOptions: CompileOptions = { ...work, model, dtype, method, target };
  const plan = compile(compileOptions);
  checkFits(plan, compileOptions, engine.memoryLimitBytes);
  const fileName = 'model.safetensors';
  await using file =
    step === undefined ? undefined : await openTensors(join(path, fileName), plan, model, fileName);
  await using base = step === undefined ? await openBaseModel(path, model, { isWhole: true }) : undefined;
  await loadPlan(engine, plan, compileOptions);
  await writeConstants(engine, plan, model, work.sequenceLength);
  if (file !== undefined) await loadTensors(engine, plan, model, fileName, file);
  await base?.loadInto(engine, plan);
  return { engine, plan };
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
