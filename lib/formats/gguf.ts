/*
 * Files of GGUF, version 3, as docs/gguf.md of ggml specifies them: typed metadata, descriptions of tensors, and their data
 * at multiples of 32 bytes, all little-endian.
 */
import type { FileHandle } from 'node:fs/promises';
import { compactError } from '../errors.js';
import { writeFileAtomically } from './atomic-write.js';
import { writeFully } from './files.js';

/** A value of metadata, with its type in the file. */
export type GgufValue =
  | { readonly type: 'uint32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'int32[]' | 'float32[]'; readonly value: readonly number[] }
  | { readonly type: 'string[]'; readonly value: readonly string[] };

/** Types of tensors: their number in files, and how many elements stand in a block of how many bytes. */
export const ggmlTypes = {
  f32: { code: 0, blockElements: 1, blockBytes: 4 },
  f16: { code: 1, blockElements: 1, blockBytes: 2 },
  q8_0: { code: 8, blockElements: 32, blockBytes: 34 },
  bf16: { code: 30, blockElements: 1, blockBytes: 2 },
} as const;
/** One of `ggmlTypes`. */
export type GgmlType = keyof typeof ggmlTypes;

/** A tensor to be written; its bytes come in pieces. */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** Of rows in memory order; the file names the sizes the other way round. A row is whole blocks. */
  readonly shape: readonly number[];
  read(): AsyncIterable<Uint8Array>;
}

const alignment = 32;
const padding = (bytes: number): number => (alignment - (bytes % alignment)) % alignment;

export const ggufBytes = ({ type, shape }: Pick<GgufTensor, 'type' | 'shape'>): number => {
  const { blockElements, blockBytes } = ggmlTypes[type];
  return (shape.reduce((a, b) => a * b, 1) / blockElements) * blockBytes;
};

/**
 * Writes a file, which appears under its name when all of it is on the disk; returns its size in bytes.
 * @throws ERR_COMPACT_CHECKPOINT_WRITE, and what reading a tensor throws
 */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Promise<number> {
  const header = headerOf(metadata, tensors);
  let numBytes = header.byteLength;
  await writeFileAtomically(path, async (file) => {
    await writeFully(file, header);
    for (const tensor of tensors) numBytes += await writeTensor(file, tensor);
  });
  return numBytes;
}

async function writeTensor(file: FileHandle, tensor: GgufTensor): Promise<number> {
  let written = 0;
  for await (const piece of tensor.read()) {
    await writeFully(file, piece);
    written += piece.byteLength;
  }
  if (written !== ggufBytes(tensor))
    throw compactError('ERR_COMPACT_CHECKPOINT_WRITE', `tensor ${tensor.name} has the wrong size`, {
      expected: `${ggufBytes(tensor)} bytes`,
      received: `${written}`,
    });
  await writeFully(file, new Uint8Array(padding(written)));
  return written + padding(written);
}

function headerOf(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Buffer {
  const parts = [Buffer.from('GGUF'), uint32(3), uint64(tensors.length), uint64(metadata.size)];
  for (const [key, value] of metadata) parts.push(text(key), ...encoded(value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, type, shape } = tensor;
    parts.push(text(name), uint32(shape.length), ...shape.toReversed().map(uint64));
    parts.push(uint32(ggmlTypes[type].code), uint64(offset));
    offset += ggufBytes(tensor) + padding(ggufBytes(tensor));
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(padding(header.byteLength))]);
}

const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

function encoded(given: GgufValue): Buffer[] {
  switch (given.type) {
    case 'string[]':
      return [...arrayOf('string', given.value.length), ...given.value.map(text)];
    case 'int32[]':
      return [...arrayOf('int32', given.value.length), bytesOf(Int32Array.from(given.value))];
    case 'float32[]':
      return [...arrayOf('float32', given.value.length), bytesOf(Float32Array.from(given.value))];
    case 'string':
      return [uint32(valueTypes.string), text(given.value)];
    case 'bool':
      return [uint32(valueTypes.bool), Buffer.from([given.value ? 1 : 0])];
    case 'float32':
      return [uint32(valueTypes.float32), bytesOf(Float32Array.of(given.value))];
    default:
      return [uint32(valueTypes.uint32), uint32(given.value)];
  }
}

const arrayOf = (type: keyof typeof valueTypes, length: number): Buffer[] => [
  uint32(valueTypes.array),
  uint32(valueTypes[type]),
  uint64(length),
];

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([uint64(bytes.byteLength), bytes]);
}

/** Every machine that this runs on is little-endian. */
const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
