import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compactError } from '../../errors.js';
import { onPath, parseStrictObject, type FloatDType, type TensorReader } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { listCheckpoints } from '../checkpoints/checkpoint-folder.js';
import { stateFileName } from '../checkpoints/checkpoint-state.js';
import { loadModel } from '../weights/load-model.js';
import { byTensor, commonDType, openModelWeights } from '../weights/model-weights.js';
import { floatsOfFile } from '../weights/tensor-files.js';
import { readCompanions, type Companions } from './companion-files.js';
import { openLlama2c } from './llama2c/model-file.js';
import { llama2cControlTokens, llama2cTokenizerFiles } from './llama2c/tokenizer-file.js';
import { mergedWeights } from './merged-weights.js';
import { openAdapterFolder } from './peft-adapters.js';
import { adapterConfigFileName, readPeftConfig } from './peft-config.js';
import { withMadeTensors, type MadeTensor } from './tensor-view.js';
import { openTrainedModel } from './trained-model.js';

/** A model in files of whatever form, as Hugging Face's checkpoints have it. */
export interface ModelSource extends AsyncDisposable {
  readonly model: Model;
  /** The model's tensors, in floating point, with adapters added. */
  readonly weights: TensorReader;
  /** Of the numbers, as they are meant to be stored. */
  readonly dtype: FloatDType;
  /** The content of config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly companions: Companions;
  readonly numMergedAdapters: number;
}

/** What a model is read from. */
export interface SourceOptions {
  /**
   * A checkpoint, an output folder: its latest, a folder in the layout of Hugging Face's checkpoints, one of PEFT's
   * adapters, or a file of llama2.c.
   */
  readonly checkpoint: string;
  /** Weights that adapters are added to, in the place of those beside which they were trained. */
  readonly baseModel?: string;
  /** The tokenizer.bin of a file of llama2.c. */
  readonly tokenizer?: string;
}

/**
 * Opens a model and checks all of its tensors; no number has been read yet.
 * @throws ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_CONFIG_VALUE for a base model without adapters to add to it,
 *   ERR_COMPACT_MODEL_*
 */
export async function openModelSource(options: SourceOptions): Promise<ModelSource> {
  const { checkpoint: source, baseModel, tokenizer } = options;
  if ((await stat(source).catch(() => undefined))?.isFile() === true) {
    if (baseModel !== undefined) throw nothingToMerge(source, baseModel);
    return openLlama2cSource(source, tokenizer);
  }
  if (tokenizer !== undefined) throw hasTokenizer(source, tokenizer);
  const path = (await listCheckpoints(source)).at(-1)?.path ?? source;
  if (await exists(join(path, adapterConfigFileName))) return openPeftSource(path, options);
  if ((await exists(join(path, stateFileName))) || !(await exists(join(path, 'config.json'))))
    return openCheckpointSource(path, options);
  if (baseModel !== undefined) throw nothingToMerge(path, baseModel);
  return openFolderSource(path);
}

const exists = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

async function openFolderSource(path: string): Promise<ModelSource> {
  const model = loadModel(path);
  const config = await readConfig(path);
  const companions = await readCompanions(path);
  const weights = await openModelWeights(path, model, 'checkpoint');
  const dtype = commonDType(weights);
  return { model, weights, dtype, config, companions, numMergedAdapters: 0, ...disposing(weights) };
}

async function openLlama2cSource(path: string, tokenizer: string | undefined): Promise<ModelSource> {
  const { model, weights } = await openLlama2c(path);
  try {
    const companions =
      tokenizer === undefined
        ? new Map<string, Uint8Array>()
        : await llama2cTokenizerFiles(tokenizer, model.vocabularySize);
    const config = model.pretrainedConfig('f32', llama2cControlTokens);
    return { model, weights, dtype: 'f32', config, companions, numMergedAdapters: 0, ...disposing(weights) };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

async function openCheckpointSource(path: string, { baseModel }: SourceOptions): Promise<ModelSource> {
  const trained = await openTrainedModel(path);
  try {
    const { state, model, weights, adapters } = trained;
    const config = await readConfig(path);
    const companions = await readCompanions(path);
    if (adapters.size === 0 && baseModel !== undefined) throw nothingToMerge(path, baseModel);
    const base =
      baseModel === undefined
        ? undefined
        : await openModelWeights(baseModel, model, 'baseModel', { isWhole: false });
    return {
      model,
      weights: mergedWeights(
        base === undefined ? weights : withHeadsOf(base, weights, model),
        model,
        adapters,
      ),
      dtype: base === undefined ? (state.baseModel?.dtype ?? state.training.dtype) : commonDType(base),
      config,
      companions,
      numMergedAdapters: adapters.size,
      async [Symbol.asyncDispose]() {
        await trained[Symbol.asyncDispose]();
        await base?.close();
      },
    };
  } catch (error) {
    await trained[Symbol.asyncDispose]();
    throw error;
  }
}

/** A base model with the heads that it comes without, which began with the run. */
function withHeadsOf(base: TensorReader, trained: TensorReader, { weights }: Model): TensorReader {
  const missing = [...byTensor(weights).keys()].filter((name) => !base.tensors.has(name));
  const made = missing.map((name): readonly [string, MadeTensor] => {
    const { dtype, ...elements } = floatsOfFile(trained, name);
    return [name, { dtype, shape: trained.tensors.get(name)!.shape, elements }];
  });
  return withMadeTensors(base, new Map(made));
}

/** Adapters of PEFT and their base model, whose files go with the model where there are none beside the adapters. */
async function openPeftSource(path: string, { baseModel }: SourceOptions): Promise<ModelSource> {
  const base = await openModelSource({ checkpoint: await baseOf(path, baseModel) });
  try {
    const { model, weights, numMergedAdapters } = base;
    const companions = new Map([...base.companions, ...(await readCompanions(path))]);
    const folder = await openAdapterFolder(path, model, 'checkpoint');
    return {
      ...base,
      weights: mergedWeights(weights, model, folder.adapters),
      companions,
      numMergedAdapters: numMergedAdapters + folder.adapters.size,
      async [Symbol.asyncDispose]() {
        await folder[Symbol.asyncDispose]();
        await base[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}

/** The folder that is given, or that the adapters name. */
async function baseOf(path: string, given: string | undefined): Promise<string> {
  const { base_model_name_or_path: named } = await readPeftConfig(path);
  if (given !== undefined) return given;
  const folder = named ?? '';
  const has = (file: string): Promise<boolean> => exists(join(folder, file));
  // Adapters that name adapters could go round in a circle.
  if (folder !== '' && (await has('config.json')) && !(await has(adapterConfigFileName))) return folder;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `the base model of ${path} is not here`, {
    op: 'baseModel',
    expected: 'the folder of the model that the adapters were trained for',
    received: folder === '' ? 'no name of one' : `${folder}, which is no folder of a model`,
    remedy: 'Download it, and name its folder as baseModel',
  });
}

const disposing = (files: TensorReader): AsyncDisposable => ({ [Symbol.asyncDispose]: () => files.close() });

/** Far deeper than any config.json nests. */
const configDepth = 32;

async function readConfig(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const file = join(folder, 'config.json');
  const text = await onPath('ERR_COMPACT_CHECKPOINT_READ', file, () => readFile(file, 'utf8'));
  try {
    return parseStrictObject(text, configDepth);
  } catch (cause) {
    throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${file} is not an object of JSON`, {
      op: 'config.json',
      received: (cause as Error).message,
      cause,
    });
  }
}

const hasTokenizer = (path: string, tokenizer: string): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `${path} has a tokenizer of its own`, {
    op: 'tokenizer',
    expected: 'a file of llama2.c, which has none, or no tokenizer',
    received: tokenizer,
    remedy: 'Leave it out',
  });

const nothingToMerge = (path: string, baseModel: string): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `${path} has no adapters that could be added to a base model`, {
    op: 'baseModel',
    expected: 'a checkpoint with adapters, as lora and qlora write it, or none',
    received: baseModel,
    remedy: 'Leave it out',
  });
