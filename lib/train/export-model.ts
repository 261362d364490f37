import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compactError } from '../errors.js';
import {
  indexFileName,
  onPath,
  systemCode,
  weightsFileName,
  writeFolderAtomically,
  writeNewFile,
  writeSafetensors,
} from '../formats/index.js';
import type { FloatDType, TensorReader, TensorSource } from '../formats/index.js';
import { numElements } from '../graph/index.js';
import { modelFromDescription } from '../models/index.js';
import { byteCount, checkOptions, oneOf, optional, path, type OptionTable } from '../options.js';
import { openModelWeights } from './base-model.js';
import { listCheckpoints } from './checkpoint-folder.js';
import { readState } from './checkpoint-state.js';
import { convertedNumbers, pieces } from './tensor-elements.js';
import { elementsOfFile } from './tensor-files.js';

/** Options of `exportModel`. */
export interface ExportOptions {
  /** A checkpoint, or an output folder: its latest. */
  readonly checkpoint: string;
  /** The folder to make; refused where there is one. */
  readonly folder: string;
  /** Of the numbers in the files. Default: that of the model that the run started from, else that of the run. */
  readonly dtype?: 'f32' | 'bf16' | 'f16';
  /** Bytes of one file at most, unless a single tensor has more; a number, or text with a unit. Default '5GB'. */
  readonly maxShardBytes?: number | string;
}

/** A model that was exported. */
export interface ExportedModel {
  readonly folder: string;
  /** Files that hold weights. */
  readonly files: readonly string[];
  /** Of the weights. */
  readonly dtype: 'f32' | 'bf16' | 'f16';
}

const exportTable = {
  checkpoint: path,
  folder: path,
  dtype: optional(oneOf(['f32', 'bf16', 'f16'])),
  maxShardBytes: optional(byteCount, '5GB'),
} satisfies OptionTable<ExportOptions>;

const pretrainedDType = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' } as const;
/** Copied as a checkpoint has them. */
const otherFiles = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
];

/**
 * Writes the model of a checkpoint as a folder in the layout of Hugging Face's checkpoints, for other programs: weights in
 * one file, or in shards with an index, in any type; config.json, generation_config.json and the tokenizer's files; nothing
 * of training. The folder appears under its name only when all of it is on the disk. No engine is opened, and weights
 * pass in pieces.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*: _MISMATCH for weights in codes or with adapters,
 *   _INVALID for a number that the type does not hold, _WRITE
 * @example await exportModel({ checkpoint: 'runs/demo', folder: 'my-model', dtype: 'bf16' });
 */
export async function exportModel(given: ExportOptions): Promise<ExportedModel> {
  const options = checkOptions(given, exportTable, { what: 'exportModel' });
  const { folder, maxShardBytes } = options;
  await refuseExisting(folder);
  const checkpoint = (await listCheckpoints(options.checkpoint)).at(-1)?.path ?? options.checkpoint;
  const state = await readState(checkpoint);
  const { dtype: baseDType = state.training.dtype } = state.baseModel ?? {};
  const dtype = options.dtype ?? (baseDType === 'f64' ? 'f32' : baseDType);
  const model = modelFromDescription(state.model);
  await using weights = await openModelWeights(join(checkpoint, weightsFileName), model, 'checkpoint');
  const shards = planShards(weights, dtype, maxShardBytes);
  await writeFolderAtomically(folder, async (temporary) => {
    for (const [name, sources] of shards)
      await writeSafetensors(join(temporary, name), sources, { format: 'pt' });
    const config = JSON.parse(await readText(join(checkpoint, 'config.json'))) as object;
    const named = pretrainedDType[dtype];
    const texts: Record<string, string> = {
      'config.json': json({ ...config, dtype: named, torch_dtype: named }),
      ...(shards.size > 1 && { [indexFileName]: json(indexOf(shards)) }),
    };
    const present = await readdir(checkpoint);
    for (const name of otherFiles)
      if (present.includes(name)) texts[name] = await readText(join(checkpoint, name));
    for (const [name, text] of Object.entries(texts))
      await writeNewFile(join(temporary, name), (file) => file.writeFile(text));
  });
  return { folder, files: [...shards.keys()], dtype };
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
const readText = (file: string): Promise<string> =>
  onPath('ERR_COMPACT_CHECKPOINT_READ', file, () => readFile(file, 'utf8'));

function refuseExisting(folder: string): Promise<void> {
  return onPath('ERR_COMPACT_CHECKPOINT_WRITE', folder, async () => {
    const found = await stat(folder).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
    if (found === undefined) return;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${folder} is there already`, {
      op: 'folder',
      expected: 'the name of a folder that is not there yet',
      remedy: 'Choose another folder, or remove it',
    });
  });
}

type ExportDType = ExportedModel['dtype'];
type Shards = ReadonlyMap<string, readonly TensorSource[]>;
const bytesOf = ({ dtype, shape }: TensorSource): number => numElements(shape) * (dtype === 'f32' ? 4 : 2);

/** Tensors in their order, as many in a file as it may hold. */
function planShards(weights: TensorReader, dtype: ExportDType, maxBytes: number): Shards {
  const files: TensorSource[][] = [[]];
  let bytes = 0;
  for (const name of weights.tensors.keys()) {
    const source = sourceOf(weights, name, dtype);
    if (files.at(-1)!.length > 0 && bytes + bytesOf(source) > maxBytes) {
      files.push([]);
      bytes = 0;
    }
    files.at(-1)!.push(source);
    bytes += bytesOf(source);
  }
  const number = (i: number): string => String(i).padStart(5, '0');
  const nameOf = (i: number): string => `model-${number(i + 1)}-of-${number(files.length)}.safetensors`;
  return new Map(files.map((sources, i) => [files.length === 1 ? weightsFileName : nameOf(i), sources]));
}

function sourceOf(weights: TensorReader, name: string, dtype: ExportDType): TensorSource {
  const { dtype: from, shape } = weights.tensors.get(name)!;
  const elements = elementsOfFile(weights, name, from === 'f32' ? 4 : 2);
  const refused = (value: number): Error =>
    compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${weights.path}: ${name} holds ${value}`, {
      op: name,
      expected: `numbers that are finite in ${dtype}`,
      received: String(value),
      remedy: "Export with dtype 'bf16' or 'f32'",
    });
  const numbers = convertedNumbers(elements, from as FloatDType, dtype, refused);
  return {
    name,
    dtype,
    shape,
    async *read() {
      for (const { first, count } of pieces(numElements(shape))) yield await numbers.read(first, count);
    },
  };
}

function indexOf(shards: Shards): object {
  const sources = [...shards.values()].flat();
  const files = [...shards].flatMap(([file, tensors]) => tensors.map(({ name }) => [name, file] as const));
  const total_size = sources.reduce((sum, source) => sum + bytesOf(source), 0);
  return { metadata: { total_size }, weight_map: Object.fromEntries(files) };
}
