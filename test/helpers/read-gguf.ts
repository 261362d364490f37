/** A reader of GGUF, version 3, written from docs/gguf.md of ggml. */
import { readFileSync } from 'node:fs';

export interface GgufFile {
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly tensors: ReadonlyMap<
    string,
    { readonly type: number; readonly shape: readonly number[]; readonly bytes: Buffer }
  >;
}

const blockBytes: Readonly<Record<number, readonly [elements: number, bytes: number]>> = {
  0: [1, 4],
  1: [1, 2],
  8: [32, 34],
  30: [1, 2],
};

export function readGguf(path: string): GgufFile {
  const bytes = readFileSync(path);
  let at = 0;
  const skip = (count: number): number => (at += count) - count;
  const uint32 = (): number => bytes.readUInt32LE(skip(4));
  const uint64 = (): number => Number(bytes.readBigUInt64LE(skip(8)));
  const text = (): string => {
    const length = uint64();
    const begin = skip(length);
    return bytes.toString('utf8', begin, begin + length);
  };
  const value = (type: number): unknown => {
    switch (type) {
      case 4:
        return uint32();
      case 5:
        return bytes.readInt32LE(skip(4));
      case 6:
        return bytes.readFloatLE(skip(4));
      case 7:
        return bytes.readUInt8(skip(1)) === 1;
      case 8:
        return text();
      case 9: {
        const item = uint32();
        return Array.from({ length: uint64() }, () => value(item));
      }
      default:
        throw new Error(`a type of value that these files do not have: ${type}`);
    }
  };
  if (bytes.toString('latin1', skip(4), 4) !== 'GGUF' || uint32() !== 3) throw new Error('no GGUF 3');
  const [numTensors, numValues] = [uint64(), uint64()];
  const metadata = new Map(Array.from({ length: numValues }, () => [text(), value(uint32())] as const));
  const infos = Array.from({ length: numTensors }, () => {
    const name = text();
    const sizes = Array.from({ length: uint32() }, uint64);
    return { name, shape: sizes.toReversed(), type: uint32(), offset: uint64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = infos.map(({ name, shape, type, offset }) => {
    if (offset % 32 !== 0) throw new Error(`${name} is not aligned`);
    const [elements, ofBlock] = blockBytes[type]!;
    const length = (shape.reduce((a, b) => a * b, 1) / elements) * ofBlock;
    const begin = start + offset;
    if (begin + length > bytes.length) throw new Error(`${name} ends behind the file`);
    return [name, { type, shape, bytes: bytes.subarray(begin, begin + length) }] as const;
  });
  return { metadata, tensors: new Map(tensors) };
}
