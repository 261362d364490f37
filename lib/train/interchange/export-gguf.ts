import { basename } from 'node:path';
import { compactError } from '../../errors.js';
import {
  convertNumbers,
  ggmlTypes,
  toSingles,
  writeGguf,
  type FloatDType,
  type GgmlType,
  type GgufTensor,
  type GgufValue,
} from '../../formats/index.js';
import { numElements } from '../../graph/index.js';
import { isAdapted } from '../../methods/adaptation/low-rank-adapter.js';
import { checkOptions, oneOf, optional, path, type OptionTable } from '../../options.js';
import { ggufArchitecture, type GgufArchitecture } from './gguf/architecture.js';
import { quantizedQ8 } from './gguf/quantized-rows.js';
import { ggufTokenizer } from './gguf/tokenizer.js';
import { openModelSource, type ModelSource } from './model-source.js';
import { refuseExisting } from './output.js';
import { byTensor, parametersOf } from '../weights/model-weights.js';
import { pairsBesideEachOther, reorderedRows } from '../weights/row-order.js';
import { convertedNumbers, pieces, transposed, type Elements } from '../weights/tensor-elements.js';
import { floatsOfFile } from '../weights/tensor-files.js';

/** Options of `exportGguf`. */
export interface ExportGgufOptions {
  /**
   * A checkpoint, an output folder: its latest, a folder in the layout of Hugging Face's checkpoints, one of PEFT's
   * adapters, or a file of llama2.c.
   */
  readonly checkpoint: string;
  /** The weights that adapters are added to, as `exportModel` has them. */
  readonly baseModel?: string;
  /** The tokenizer.bin of a file of llama2.c; without one the model has no tokenizer. */
  readonly tokenizer?: string;
  /** The file to make, e.g. 'model.gguf'; refused where there is one. */
  readonly file: string;
  /** Of matrices: numbers, or blocks of 32 in eight bits with a scale. Vectors are f32. Default 'f16'. */
  readonly dtype?: 'f32' | 'f16' | 'bf16' | 'q8_0';
}

/** A model that was exported. */
export interface ExportedGguf {
  readonly file: string;
  readonly numBytes: number;
  /** Of matrices. */
  readonly dtype: 'f32' | 'f16' | 'bf16' | 'q8_0';
  /** What llama.cpp calls the architecture. */
  readonly architecture: string;
  /** Adapters that were added to weights. */
  readonly numMergedAdapters: number;
}

const types = ['f32', 'f16', 'bf16', 'q8_0'] as const satisfies readonly GgmlType[];

const exportGgufTable = {
  checkpoint: path,
  baseModel: optional(path),
  tokenizer: optional(path),
  file: path,
  dtype: optional(oneOf(types), 'f16'),
} satisfies OptionTable<ExportGgufOptions>;

/** What llama.cpp calls a file by the type of most of its tensors. */
const fileTypes = { f32: 0, f16: 1, q8_0: 7, bf16: 32 } as const;
/** Of the formats of blocks. */
const quantizationVersion = 2;

/**
 * Writes a model as one file of GGUF for llama.cpp and what is built on it: weights, what its configuration says, the
 * tokenizer with its control tokens, and the chat template. Adapters are added to their weights. What llama.cpp has no name for
 * (an architecture, a scaling of positions, how a tokenizer cuts texts) is refused: the file would open and write nonsense.
 * The file appears under its name only when all of it is on the disk, and weights pass in pieces.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*: _VALUE for what has no name in GGUF, and for rows that are no whole blocks;
 *   ERR_COMPACT_TOKENIZER; ERR_COMPACT_CHECKPOINT_*: _INVALID for a number that the type does not hold, _WRITE
 * @example await exportGguf({ checkpoint: 'runs/tuned', file: 'tuned.gguf', dtype: 'q8_0' });
 */
export async function exportGguf(given: ExportGgufOptions): Promise<ExportedGguf> {
  const options = checkOptions(given, exportGgufTable, { what: 'exportGguf' });
  const { file, dtype } = options;
  await refuseExisting(file, 'file');
  await using source = await openModelSource(options);
  const architecture = ggufArchitecture(source.model);
  const tensors = tensorsOf(source, architecture, dtype);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: architecture.name }],
    ['general.name', { type: 'string', value: basename(file).replace(/\.gguf$/i, '') }],
    ['general.file_type', { type: 'uint32', value: fileTypes[dtype] }],
    ['general.quantization_version', { type: 'uint32', value: quantizationVersion }],
    ...architecture.metadata,
    ...ggufTokenizer(source.companions, source.model.vocabularySize),
  ]);
  const numBytes = await writeGguf(file, metadata, tensors);
  const { numMergedAdapters } = source;
  return { file, numBytes, dtype, architecture: architecture.name, numMergedAdapters };
}

function tensorsOf(
  source: ModelSource,
  { tensorName, pairedHeadSize, ropeFactors, normOffset }: GgufArchitecture,
  dtype: GgmlType,
): readonly GgufTensor[] {
  const { model, weights } = source;
  const linear = new Set(
    parametersOf(model)
      .filter((parameter) => isAdapted(parameter, { targetModules: 'all-linear' }))
      .map(({ name }) => name),
  );
  const tensors = [...byTensor(model.weights)].map(([name, [stored]]): GgufTensor => {
    const { shape } = weights.tensors.get(name)!;
    const given = floatsOfFile(weights, name);
    // A file of GGUF has linear weights as (out_features, in_features).
    const isTurned = stored!.layout === 'same' && linear.has(stored!.parameter);
    const rows = isTurned ? shape.toReversed() : shape;
    const elements = isTurned ? transposed(given, shape as [number, number]) : given;
    const ordered =
      pairedHeadSize !== undefined && isRotated(name)
        ? reorderedRows(elements, rows[1] ?? 1, pairsBesideEachOther(pairedHeadSize))
        : elements;
    const own = tensorName(name);
    const type = rows.length === 1 || own === positionsName ? 'f32' : dtype;
    const numbers = { ...ordered, dtype: given.dtype };
    const isOffset = normOffset !== undefined && own.endsWith('norm.weight');
    const read = readerOf(name, source, isOffset ? raised(numbers, normOffset) : numbers, type, rows);
    return { name: own, type, shape: rows, read };
  });
  return ropeFactors === undefined ? tensors : [ropeTensor(ropeFactors), ...tensors];
}

/** The same numbers with one added to each, in double precision. */
const raised = (given: Elements & { readonly dtype: FloatDType }, by: number) => ({
  elementBytes: 8,
  dtype: 'f64' as const,
  async read(first: number, count: number) {
    const bytes = convertNumbers(await given.read(first, count), given.dtype, 'f64');
    const numbers = new Float64Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
    for (let i = 0; i < count; i++) numbers[i]! += by;
    return bytes;
  },
});

/** Readers add the table of positions to numbers of f32. */
const positionsName = 'position_embd.weight';
/** Weights and biases of queries and keys, which are turned by their positions. */
const isRotated = (name: string): boolean => /\.[qk]_proj\./.test(name);

function readerOf(
  name: string,
  { weights }: ModelSource,
  given: Elements & { readonly dtype: FloatDType },
  type: GgmlType,
  shape: readonly number[],
): GgufTensor['read'] {
  const refused = (value: number): Error =>
    compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${weights.path}: ${name} holds ${value}`, {
      op: name,
      expected: `numbers that are finite in ${type}`,
      received: String(value),
      remedy: Number.isFinite(value) ? "Export with dtype 'bf16' or 'f32'" : 'Use an earlier checkpoint',
    });
  if (type === 'q8_0') checkBlocks(name, shape.at(-1)!);
  const numbers = convertedNumbers(given, given.dtype, type === 'q8_0' ? 'f32' : type, refused);
  return async function* () {
    for (const { first, count } of pieces(numElements(shape))) {
      const bytes = await numbers.read(first, count);
      yield type === 'q8_0' ? quantizedQ8(toSingles(bytes, 'f32'), refused) : bytes;
    }
  };
}

function checkBlocks(name: string, columns: number): void {
  const { blockElements } = ggmlTypes.q8_0;
  if (columns % blockElements === 0) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} cannot be quantised to q8_0`, {
    op: 'dtype',
    expected: `rows of whole blocks of ${blockElements} numbers`,
    received: `rows of ${columns}`,
    remedy: "Export with dtype 'f16' or 'bf16'",
  });
}

const ropeTensor = (factors: readonly number[]): GgufTensor => ({
  name: 'rope_freqs.weight',
  type: 'f32',
  shape: [factors.length],
  async *read() {
    yield new Uint8Array(Float32Array.from(factors).buffer);
  },
});
