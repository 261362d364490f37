import { join } from 'node:path';
import { compactError } from '../../errors.js';
import {
  convertNumbers,
  writeFolderAtomically,
  writeNewFile,
  writeSafetensors,
  type TensorSource,
} from '../../formats/index.js';
import { numElements, type Model, type StoredParameter } from '../../graph/index.js';
import type { AdapterOptions } from '../../methods/index.js';
import { checkOptions, optional, path, text, type OptionTable } from '../../options.js';
import { listCheckpoints } from '../checkpoints/checkpoint-folder.js';
import { byTensor, parameterShapes } from '../weights/model-weights.js';
import { convertedNumbers, notFinite } from '../weights/tensor-elements.js';
import { floatsOfFile } from '../weights/tensor-files.js';
import type { Adapters, Factors } from './adapters.js';
import { readCompanions } from './companion-files.js';
import { joinedFactors } from './joined-adapters.js';
import { mergedWeights } from './merged-weights.js';
import { refuseExisting } from './output.js';
import { adapterFileName, adapterConfigFileName } from './peft-config.js';
import { endsOfNames, factorIn, moduleOfWeight, savedName } from './peft-names.js';
import { openTrainedModel, type TrainedModel } from './trained-model.js';

/** Options of `exportAdapters`. */
export interface ExportAdaptersOptions {
  /** A checkpoint with adapters, or an output folder: its latest. */
  readonly checkpoint: string;
  /** The folder to make; refused where there is one. */
  readonly folder: string;
  /** By which name PEFT finds the base model: of the hub, or a path. Default: the folder that the run started from. */
  readonly baseModelName?: string;
}

/** Adapters that were exported. */
export interface ExportedAdapters {
  readonly folder: string;
  /** Null where the run started from random weights and no name was given. */
  readonly baseModelName: string | null;
  /** Modules of the base model that have one. */
  readonly numAdapters: number;
}

const exportAdaptersTable = {
  checkpoint: path,
  folder: path,
  baseModelName: optional(text),
} satisfies OptionTable<ExportAdaptersOptions>;

/**
 * Writes the adapters of a checkpoint as a folder of Hugging Face's PEFT: adapter_config.json, adapter_model.safetensors in
 * the type of the run, and the tokenizer's files. Where a file of the model holds several weights in one tensor, their
 * adapters become one of that tensor, exactly, of the sum of their ranks. The folder appears under its name only when all of
 * it is on the disk.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*: _VALUE for a method that trains more than adapters, ERR_COMPACT_CHECKPOINT_*:
 *   _MISMATCH for a checkpoint without adapters, _INVALID for a number that is not finite, _WRITE
 * @example await exportAdapters({ checkpoint: 'runs/tuned', folder: 'my-adapters' });
 */
export async function exportAdapters(given: ExportAdaptersOptions): Promise<ExportedAdapters> {
  const options = checkOptions(given, exportAdaptersTable, { what: 'exportAdapters' });
  const { folder } = options;
  await refuseExisting(folder);
  const checkpoint = (await listCheckpoints(options.checkpoint)).at(-1)?.path ?? options.checkpoint;
  await using trained = await openTrainedModel(checkpoint);
  checkAdapters(trained);
  const baseModelName = options.baseModelName ?? trained.state.baseModel?.path ?? null;
  const modules = modulesOf(trained);
  const companions = await readCompanions(checkpoint);
  await writeFolderAtomically(folder, async (temporary) => {
    const sources = [
      ...modules.flatMap((module) => sourcesOf(module, trained.adapters)),
      ...headSources(trained),
    ];
    await writeSafetensors(join(temporary, adapterFileName), sources, { format: 'pt' });
    const config = `${JSON.stringify(peftConfig(trained, modules, baseModelName), undefined, 2)}\n`;
    await writeNewFile(join(temporary, adapterConfigFileName), (file) => file.writeFile(config));
    for (const [name, content] of companions)
      if (name !== 'generation_config.json')
        await writeNewFile(join(temporary, name), (file) => file.writeFile(content));
  });
  return { folder, baseModelName, numAdapters: modules.length };
}

function checkAdapters({ path, adapters, method }: TrainedModel): void {
  const name = String(method['name']);
  if (adapters.size === 0)
    throw compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `${path} has no adapters`, {
      op: 'checkpoint',
      expected: 'a checkpoint of lora, qlora or lora-fa',
      received: name,
      remedy: 'Export the whole model',
    });
  if (name === 'relora')
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} trains more than adapters`, {
      op: 'checkpoint',
      expected: 'a checkpoint of lora, qlora or lora-fa',
      received: name,
      remedy: 'Export the whole model, with its adapters merged',
    });
  if ([...adapters.values()].some(({ magnitudes }) => magnitudes !== undefined))
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} trains magnitudes, which are not exported`, {
      op: 'checkpoint',
      expected: 'a checkpoint of lora, qlora or lora-fa',
      received: name,
      remedy: 'Export the whole model, with its adapters merged',
    });
}

/** A tensor of the model's files whose weights, or some of them, have adapters. */
interface Module {
  readonly name: string;
  /** The weights that have one. */
  readonly stored: readonly StoredParameter[];
  readonly inputs: number;
  readonly outputs: number;
  /** Of all of them together. */
  readonly rank: number;
}

function modulesOf({ model, adapters }: TrainedModel): readonly Module[] {
  const shapes = parameterShapes(model);
  const adapted = model.weights.filter((stored) => adapters.has(stored.parameter) && !stored.isOwnHead);
  return [...byTensor(adapted)].map(([tensor, stored]) => {
    const [inputs, width] = shapes.get(stored[0]!.parameter)! as [number, number];
    const rank = stored.reduce((sum, { parameter }) => sum + adapters.get(parameter)!.rank, 0);
    return { name: moduleOfWeight(tensor), stored, inputs, outputs: stored[0]!.part?.of ?? width, rank };
  });
}

function sourcesOf({ name, stored, inputs, outputs, rank }: Module, adapters: Adapters): TensorSource[] {
  const { dtype } = adapters.get(stored[0]!.parameter)!;
  const load = async (): Promise<Factors> => {
    const parts = stored.map(async ({ parameter, part }) => {
      const adapter = adapters.get(parameter)!;
      return { rank: adapter.rank, first: part?.first ?? 0, ...(await adapter.factors()) };
    });
    return joinedFactors(await Promise.all(parts), outputs);
  };
  const source = (letter: 'A' | 'B', factor: keyof Factors, shape: readonly number[]): TensorSource => ({
    name: factorIn(name, letter),
    dtype,
    shape,
    async *read() {
      const { buffer, byteOffset, byteLength } = (await load())[factor];
      yield convertNumbers(new Uint8Array(buffer, byteOffset, byteLength), 'f32', dtype);
    },
  });
  return [source('A', 'a', [rank, inputs]), source('B', 'b', [outputs, rank])];
}

/** The tensors of a head that began with the run, whole: the base model has none, so adapters of it are added to it here. */
function headSources({ path, model, weights, adapters }: TrainedModel): TensorSource[] {
  const merged = mergedWeights(weights, model, adapters);
  const { dtype: to } = [...adapters.values()][0]!;
  const dtype = to === 'f64' ? 'f32' : to;
  return headsOf(model).map((name) => {
    const { shape } = merged.tensors.get(name)!;
    const given = floatsOfFile(merged, name);
    const numbers = convertedNumbers(given, given.dtype, dtype, notFinite(path, name, dtype));
    return {
      name: savedName(name),
      dtype,
      shape,
      async *read() {
        yield await numbers.read(0, numElements(shape));
      },
    };
  });
}

const headsOf = ({ weights }: Model): readonly string[] => [
  ...byTensor(weights.filter(({ isOwnHead }) => isOwnHead)).keys(),
];

function peftConfig(
  { model, method }: TrainedModel,
  modules: readonly Module[],
  baseModelName: string | null,
) {
  const { r, loraAlpha, useRslora } = method as unknown as Required<AdapterOptions>;
  const joined = modules.filter(({ rank }) => rank !== r);
  /** By which a joined adapter is multiplied as each of its parts was. */
  const alphaOf = (rank: number): number =>
    useRslora ? loraAlpha * Math.sqrt(rank / r) : (loraAlpha * rank) / r;
  const all = [...byTensor(model.weights).keys()].map(moduleOfWeight);
  const heads = [...new Set(headsOf(model).map(moduleOfWeight))];
  return {
    peft_type: 'LORA',
    task_type: taskType(model),
    base_model_name_or_path: baseModelName,
    inference_mode: true,
    r,
    lora_alpha: loraAlpha,
    lora_dropout: 0,
    use_rslora: useRslora,
    bias: 'none',
    fan_in_fan_out: modules.some(({ stored }) => stored[0]!.layout === 'same'),
    init_lora_weights: true,
    target_modules: endsOfNames(
      modules.map(({ name }) => name),
      all,
    ),
    modules_to_save: heads.length === 0 ? null : endsOfNames(heads, all),
    rank_pattern: Object.fromEntries(joined.map(({ name, rank }) => [name, rank])),
    alpha_pattern: Object.fromEntries(joined.map(({ name, rank }) => [name, alphaOf(rank)])),
  };
}

/** PEFT's word for the class of transformers that the adapters go to; none for masked tokens. */
function taskType(model: Model): 'CAUSAL_LM' | 'SEQ_CLS' | null {
  const { task = 'causal-lm' } = model.describe();
  if (task === 'causal-lm') return 'CAUSAL_LM';
  return task === 'masked-lm' ? null : 'SEQ_CLS';
}
