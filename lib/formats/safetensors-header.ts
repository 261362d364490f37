import { compactError } from '../errors.js';
import { shown } from '../options.js';
import { dtypeBytes, numElements } from '../graph/index.js';
import type { DType } from '../graph/index.js';

/** One tensor of a file; offsets are bytes from the start of the file. */
export interface TensorEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The largest header that the format's reference implementation accepts. */
export const maxHeaderBytes = 100_000_000;

export const formatNames: Readonly<Record<DType, string>> = {
  f32: 'F32',
  bf16: 'BF16',
  i32: 'I32',
  u8: 'U8',
  i8: 'I8',
};
const dtypes = new Map(Object.entries(formatNames).map(([dtype, name]) => [name, dtype as DType]));

/**
 * Parses and checks the JSON header of a safetensors file: the tensors' bytes must cover the rest of the file exactly,
 * without gaps or overlaps, each as long as its shape and dtype say, under names that occur once.
 *
 * @param text the header's JSON, without the length in front of it
 * @param dataOffset bytes in front of the data: 8 and the header's length
 * @param fileBytes size of the file
 * @throws ERR_COMPACT_CHECKPOINT_INVALID, or ERR_COMPACT_CHECKPOINT_TRUNCATED when only the end is missing
 */
export function parseHeader(
  path: string,
  text: string,
  dataOffset: number,
  fileBytes: number,
): SafetensorsHeader {
  const header = parseObject(path, text);
  let metadata: Record<string, string> = {};
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(path, value);
    else tensors.set(name, checkTensor(path, name, value, dataOffset));
  }
  checkCover(path, tensors, dataOffset, fileBytes);
  return { tensors, metadata };
}

function parseObject(path: string, text: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, 'the header is not JSON', { cause });
  }
  if (!isObject(header)) throw invalid(path, 'the header is not a JSON object');
  if (countNames(text) !== Object.keys(header).length)
    throw invalid(path, 'a name occurs twice in the header');
  return header;
}

function checkMetadata(path: string, value: unknown): Record<string, string> {
  if (!isObject(value) || Object.values(value).some((item) => typeof item !== 'string'))
    throw invalid(path, '__metadata__ is not an object of strings');
  return value as Record<string, string>;
}

function checkTensor(path: string, name: string, value: unknown, dataOffset: number): TensorEntry {
  if (!isObject(value)) throw invalid(path, `tensor ${name} is not an object`);
  const { dtype: formatName, shape, data_offsets: offsets } = value;
  const dtype = typeof formatName === 'string' ? dtypes.get(formatName) : undefined;
  if (dtype === undefined)
    throw invalid(path, `tensor ${name} has an unsupported dtype`, {
      expected: [...dtypes.keys()].join(', '),
      received: shown(formatName),
    });
  if (!isListOfCounts(shape)) throw invalid(path, `tensor ${name} has an impossible shape`);
  if (!isListOfCounts(offsets) || offsets.length !== 2)
    throw invalid(path, `tensor ${name} has impossible offsets`);
  const [begin, end] = offsets as [number, number];
  const byteLength = numElements(shape) * dtypeBytes[dtype];
  if (!Number.isSafeInteger(byteLength) || end - begin !== byteLength)
    throw invalid(path, `tensor ${name} has offsets that do not fit its shape`, {
      expected: `${byteLength} bytes`,
      received: `${end - begin}`,
    });
  return { dtype, shape, byteOffset: dataOffset + begin, byteLength };
}

function checkCover(
  path: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  dataOffset: number,
  fileBytes: number,
): void {
  let end = dataOffset;
  const inOrder = [...tensors].sort(
    ([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  );
  for (const [name, tensor] of inOrder) {
    if (tensor.byteOffset < end) throw invalid(path, `tensor ${name} overlaps another`);
    if (tensor.byteOffset > end) throw invalid(path, `there is a gap in front of tensor ${name}`);
    end += tensor.byteLength;
  }
  if (end > fileBytes) throw truncated(path, end, fileBytes);
  if (end < fileBytes) throw invalid(path, `${fileBytes - end} bytes follow the last tensor`);
}

export function truncated(path: string, expectedBytes: number, fileBytes: number): Error {
  return compactError('ERR_COMPACT_CHECKPOINT_TRUNCATED', `${path} ends too early`, {
    expected: `${expectedBytes} bytes`,
    received: `${fileBytes}`,
    remedy: 'Use an earlier checkpoint',
  });
}

export function invalid(
  path: string,
  what: string,
  fields: { expected?: string; received?: string; cause?: unknown } = {},
): Error {
  return compactError(
    'ERR_COMPACT_CHECKPOINT_INVALID',
    `${path} is not a valid safetensors file: ${what}`,
    fields,
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isListOfCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);

/** Names of the outermost object as written; JSON.parse keeps only the last of equal ones. `text` is valid JSON. */
function countNames(text: string): number {
  let count = 0;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    else if (character === ':' && depth === 1) count++;
    else if (character === '"') {
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
    }
  }
  return count;
}
