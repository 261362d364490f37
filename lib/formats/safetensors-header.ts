import { compactError, type CompactErrorFields } from '../errors.js';
import { shown } from '../options.js';
import { dtypeOfFormat, fileBytes, formatNames, type FileDType } from './file-dtype.js';
import { isObject, parseStrictObject } from './strict-json.js';

/** One tensor of a file; offsets are bytes from the start of the file. */
export interface TensorEntry {
  readonly dtype: FileDType;
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

/** Header, tensor, shape. */
const headerDepth = 3;

/**
 * Parses and checks the JSON header of a safetensors file: the tensors' bytes must cover the rest of the file exactly,
 * without gaps or overlaps, each as long as its shape and dtype say, under names that occur once. Spaces may follow the
 * JSON, and tensors may be empty. Every dtype of the format is known, whether or not anything here computes with it.
 *
 * @param text the header's JSON, without the length in front of it
 * @param dataOffset bytes in front of the data: 8 and the header's length
 * @param totalBytes size of the file
 * @throws ERR_COMPACT_CHECKPOINT_INVALID, or ERR_COMPACT_CHECKPOINT_TRUNCATED when only the end is missing
 */
export function parseHeader(
  path: string,
  text: string,
  dataOffset: number,
  totalBytes: number,
): SafetensorsHeader {
  const header = parseObject(path, text);
  let metadata: Record<string, string> = {};
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(path, value);
    else tensors.set(name, checkTensor(path, name, value, dataOffset));
  }
  checkCover(path, tensors, dataOffset, totalBytes);
  return { tensors, metadata };
}

function parseObject(path: string, text: string): Readonly<Record<string, unknown>> {
  if (!text.startsWith('{'))
    throw invalid(path, 'the header is not JSON', { op: 'header', expected: "'{' in front" });
  try {
    return parseStrictObject(text, headerDepth);
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw invalid(path, 'the header is not JSON of its form', { op: 'header', received, cause });
  }
}

function checkMetadata(path: string, value: unknown): Record<string, string> {
  const what = '__metadata__ is not an object of strings';
  if (!isObject(value)) throw invalid(path, what, { op: '__metadata__', received: shown(value) });
  const wrong = Object.entries(value).find(([, item]) => typeof item !== 'string');
  if (wrong === undefined) return value as Record<string, string>;
  throw invalid(path, what, { op: `__metadata__.${wrong[0]}`, received: shown(wrong[1]) });
}

function checkTensor(path: string, name: string, value: unknown, dataOffset: number): TensorEntry {
  if (!isObject(value))
    throw invalid(path, `tensor ${shown(name)} is not an object`, { op: name, received: shown(value) });
  const { dtype: formatName, shape, data_offsets: offsets } = value;
  const dtype = dtypeOfFormat(formatName);
  if (dtype === undefined)
    throw invalid(path, `tensor ${shown(name)} has a dtype that the format does not have`, {
      op: `${name}.dtype`,
      expected: formatNames.join(', '),
      received: shown(formatName),
    });
  const refusedShape = () =>
    invalid(path, `tensor ${shown(name)} has an impossible shape`, {
      op: `${name}.shape`,
      expected: 'whole numbers from 0 whose product is exact',
      received: shown(shape),
    });
  if (!isListOfCounts(shape)) throw refusedShape();
  const byteLength = fileBytes(dtype, shape);
  if (byteLength === undefined) throw refusedShape();
  const refusedOffsets = (expected: string) =>
    invalid(path, `tensor ${shown(name)} has impossible offsets`, {
      op: `${name}.data_offsets`,
      expected,
      received: shown(offsets),
    });
  if (!isListOfCounts(offsets) || offsets.length !== 2) throw refusedOffsets('two whole numbers from 0');
  const [begin, end] = offsets as [number, number];
  if (end - begin !== byteLength) throw refusedOffsets(`${byteLength} bytes, as dtype and shape say`);
  return { dtype, shape, byteOffset: dataOffset + begin, byteLength };
}

function checkCover(
  path: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  dataOffset: number,
  totalBytes: number,
): void {
  let end = dataOffset;
  const inOrder = [...tensors].sort(
    ([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  );
  for (const [name, tensor] of inOrder) {
    const fields = { op: `${name}.data_offsets`, expected: `${end - dataOffset} as the first` };
    if (tensor.byteOffset < end) throw invalid(path, `tensor ${shown(name)} overlaps another`, fields);
    if (tensor.byteOffset > end)
      throw invalid(path, `there is a gap in front of tensor ${shown(name)}`, fields);
    end += tensor.byteLength;
  }
  if (end > totalBytes) throw truncated(path, end, totalBytes);
  if (end < totalBytes)
    throw invalid(path, `${totalBytes - end} bytes follow the last tensor`, { op: 'data_offsets' });
}

export function truncated(path: string, expectedBytes: number, receivedBytes: number): Error {
  return compactError('ERR_COMPACT_CHECKPOINT_TRUNCATED', `${path} ends too early`, {
    expected: `${expectedBytes} bytes`,
    received: `${receivedBytes}`,
    remedy: 'Use an earlier checkpoint, or download the file again',
  });
}

export function invalid(path: string, what: string, fields: CompactErrorFields = {}): Error {
  return compactError(
    'ERR_COMPACT_CHECKPOINT_INVALID',
    `${path} is not a valid safetensors file: ${what}`,
    fields,
  );
}

const isListOfCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
