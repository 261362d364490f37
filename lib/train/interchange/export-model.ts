import { join } from 'node:path';
import { compactError } from '../../errors.js';
import {
  indexFileName,
  weightsFileName,
  writeFolderAtomically,
  writeNewFile,
  writeSafetensors,
} from '../../formats/index.js';
import type { TensorReader, TensorSource } from '../../formats/index.js';
import { numElements, type Model } from '../../graph/index.js';
import { byteCount, checkOptions, oneOf, optional, path, type OptionTable } from '../../options.js';
import { byTensor } from '../weights/model-weights.js';
import { convertedNumbers, pieces } from '../weights/tensor-elements.js';
import { floatsOfFile } from '../weights/tensor-files.js';
import { configText } from '../weights/pretrained-files.js';
import { openModelSource } from './model-source.js';
import { refuseExisting } from './output.js';

/** Options of `exportModel`. */
export interface ExportOptions {
  /**
   * A checkpoint, an output folder: its latest, a folder in the layout of Hugging Face's checkpoints, one of PEFT's
   * adapters, or a file of llama2.c.
   */
  readonly checkpoint: string;
  /**
   * The weights that adapters are added to: the folder that they were trained from. Default: of a checkpoint those in it, as
   * the run held them, rounded to its type or decoded from int8 or NF4; of PEFT's adapters those that they name.
   */
  readonly baseModel?: string;
  /** The tokenizer.bin of a file of llama2.c; without one the model has no tokenizer. */
  readonly tokenizer?: string;
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
  /** Adapters that were added to weights. */
  readonly numMergedAdapters: number;
}

const exportTable = {
  checkpoint: path,
  baseModel: optional(path),
  tokenizer: optional(path),
  folder: path,
  dtype: optional(oneOf(['f32', 'bf16', 'f16'])),
  maxShardBytes: optional(byteCount, '5GB'),
} satisfies OptionTable<ExportOptions>;

const pretrainedDType = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' } as const;

/**
 * Writes a model as a folder in the layout of Hugging Face's checkpoints, for other programs: weights in one file, or in
 * shards with an index, in any type; config.json, and generation_config.json and the tokenizer's files as they are; nothing
 * of training. Adapters are added to their weights (W + s A B in double precision, rounded once), weights in codes are
 * decoded. The folder appears under its name only when all of it is on the disk. No engine is opened, and weights
 * pass in pieces.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*: _MISMATCH for weights that are not the model's,
 *   _INVALID for a number that the type does not hold, _WRITE
 * @example await exportModel({ checkpoint: 'runs/demo', folder: 'my-model', dtype: 'bf16' });
 */
export async function exportModel(given: ExportOptions): Promise<ExportedModel> {
  const options = checkOptions(given, exportTable, { what: 'exportModel' });
  const { folder, maxShardBytes } = options;
  await refuseExisting(folder);
  await using source = await openModelSource(options);
  const { model, weights, config, companions, numMergedAdapters } = source;
  const dtype = options.dtype ?? (source.dtype === 'f64' ? 'f32' : source.dtype);
  const shards = planShards(sourcesOf(weights, model, dtype), maxShardBytes);
  await writeFolderAtomically(folder, async (temporary) => {
    for (const [name, sources] of shards)
      await writeSafetensors(join(temporary, name), sources, { format: 'pt' });
    const named = pretrainedDType[dtype];
    const contents = new Map<string, string | Uint8Array>(companions);
    contents.set('config.json', configText({ ...config, dtype: named, torch_dtype: named }));
    if (shards.size > 1) contents.set(indexFileName, json(indexOf(shards)));
    for (const [name, content] of contents)
      await writeNewFile(join(temporary, name), (file) => file.writeFile(content));
  });
  return { folder, files: [...shards.keys()], dtype, numMergedAdapters };
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

type ExportDType = ExportedModel['dtype'];
type Shards = ReadonlyMap<string, readonly TensorSource[]>;
const bytesOf = ({ dtype, shape }: TensorSource): number => numElements(shape) * (dtype === 'f32' ? 4 : 2);

/** What the model has: a tied tensor once, and no tables that are computed anew. */
const sourcesOf = (weights: TensorReader, model: Model, dtype: ExportDType): readonly TensorSource[] =>
  [...byTensor(model.weights).keys()].map((name) => sourceOf(weights, name, dtype));

/** Tensors in their order, as many in a file as it may hold. */
function planShards(sources: readonly TensorSource[], maxBytes: number): Shards {
  const files: TensorSource[][] = [[]];
  let bytes = 0;
  for (const source of sources) {
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
  const { shape } = weights.tensors.get(name)!;
  const given = floatsOfFile(weights, name);
  const refused = (value: number): Error =>
    compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${weights.path}: ${name} holds ${value}`, {
      op: name,
      expected: `numbers that are finite in ${dtype}`,
      received: String(value),
      remedy: "Export with dtype 'bf16' or 'f32'",
    });
  const numbers = convertedNumbers(given, given.dtype, dtype, refused);
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
