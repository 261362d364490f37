import type { FileHandle } from 'node:fs/promises';
import { compactError } from '../errors.js';
import { checkOptions, checkValue, path as pathText, shown, wholeNumber } from '../options.js';
import { fileBytes, formatNameOf, type FileDType } from './file-dtype.js';
import { onPath, systemCode } from './file-error.js';
import { closeQuietly, openRegular, readFully, writeFully, writeNewFile } from './files.js';
import { invalid, maxHeaderBytes, parseHeader, truncated } from './safetensors-header.js';
import type { SafetensorsHeader, TensorEntry } from './safetensors-header.js';

/** A tensor to be written; its bytes come in pieces, so that no file is ever whole in memory. */
export interface TensorSource {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  read(): AsyncIterable<Uint8Array>;
}

/** Writes a new safetensors file and waits until it is on the disk; returns its size in bytes. */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<number> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const begin = end;
    end += fileBytes(dtype, shape)!;
    header[name] = { dtype: formatNameOf(dtype), shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  // Spaces behind the JSON align the data to 8 bytes.
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const start = Buffer.alloc(8 + headerBytes, ' ');
  start.writeBigUInt64LE(BigInt(headerBytes), 0);
  json.copy(start, 8);

  await writeNewFile(path, async (file) => {
    await writeFully(file, start);
    for (const tensor of tensors) {
      let written = 0;
      for await (const piece of tensor.read()) {
        await writeFully(file, piece);
        written += piece.byteLength;
      }
      const expected = fileBytes(tensor.dtype, tensor.shape);
      if (written !== expected)
        throw compactError('ERR_COMPACT_CHECKPOINT_WRITE', `tensor ${tensor.name} has the wrong size`, {
          expected: `${expected} bytes`,
          received: `${written}`,
        });
    }
  });
  return start.length + end;
}

const rangeTable = { byteOffset: wholeNumber(0), byteLength: wholeNumber(0) };

/** Tensors of one file, or of the shards of one, that are read in ranges. */
export interface TensorReader extends AsyncDisposable {
  /** Of the file or folder, for messages. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readInto(name: string, target: Uint8Array, byteOffset: number): Promise<void>;
  close(): Promise<void>;
}

/** A safetensors file whose header has been checked; reads ranges of tensors. */
export class SafetensorsFile implements TensorReader {
  readonly path: string;
  readonly tensors: SafetensorsHeader['tensors'];
  readonly metadata: SafetensorsHeader['metadata'];
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle, header: SafetensorsHeader) {
    this.path = path;
    this.#file = file;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  /** @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED or _INVALID */
  static async open(path: string): Promise<SafetensorsFile> {
    checkValue(path, pathText, 'path', 'ERR_COMPACT_ARGUMENT');
    return onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
      const file = await openRegular(path).catch((cause: unknown) => {
        if (systemCode(cause) !== 'ENOENT') throw cause;
        throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', `there is no ${path}`, {
          remedy: 'Use another checkpoint',
          cause,
        });
      });
      if (file === undefined) throw invalid(path, 'it is no regular file');
      try {
        return new SafetensorsFile(path, file, await readHeader(path, file));
      } catch (error) {
        await closeQuietly(file);
        throw error;
      }
    });
  }

  /**
   * Bytes of a tensor, or of a part of it. The result has a buffer of its own.
   * @throws ERR_COMPACT_CHECKPOINT_READ, _INVALID, _TRUNCATED, ERR_COMPACT_TYPE, ERR_COMPACT_ARGUMENT
   */
  async read(name: string, range?: { byteOffset: number; byteLength: number }): Promise<Uint8Array> {
    const tensor = this.#tensor(name);
    const whole = { byteOffset: 0, byteLength: tensor.byteLength };
    const context = { what: `the range of ${name}`, prefix: 'range.', code: 'ERR_COMPACT_ARGUMENT' } as const;
    const { byteOffset, byteLength } = range === undefined ? whole : checkOptions(range, rangeTable, context);
    if (byteOffset + byteLength > tensor.byteLength)
      throw compactError('ERR_COMPACT_ARGUMENT', `the range is outside of tensor ${name}`, {
        expected: `at most ${tensor.byteLength} bytes`,
        received: `${byteLength} bytes from ${byteOffset}`,
      });
    const bytes = new Uint8Array(byteLength);
    await this.readInto(name, bytes, byteOffset);
    return bytes;
  }

  /**
   * Fills a buffer of the caller's with bytes of a tensor.
   * @param byteOffset within the tensor
   * @throws ERR_COMPACT_CHECKPOINT_READ, _INVALID, _TRUNCATED
   */
  async readInto(name: string, target: Uint8Array, byteOffset: number): Promise<void> {
    const begin = this.#tensor(name).byteOffset + byteOffset;
    const numRead = await onPath('ERR_COMPACT_CHECKPOINT_READ', this.path, () =>
      readFully(this.#file, target, begin),
    );
    if (numRead < target.byteLength) throw truncated(this.path, begin + target.byteLength, begin + numRead);
  }

  close(): Promise<void> {
    return closeQuietly(this.#file);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #tensor(name: string): TensorEntry {
    const tensor = this.tensors.get(name);
    if (tensor === undefined)
      throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${this.path} has no tensor ${shown(name)}`);
    return tensor;
  }
}

async function readHeader(path: string, file: FileHandle): Promise<SafetensorsHeader> {
  const { size: totalBytes } = await file.stat();
  const length = Buffer.alloc(8);
  if ((await readFully(file, length, 0)) < 8) throw truncated(path, 8, totalBytes);
  const headerBytes = length.readBigUInt64LE();
  if (headerBytes > BigInt(maxHeaderBytes))
    throw invalid(path, 'the header is too long', {
      op: 'header',
      expected: `at most ${maxHeaderBytes} bytes`,
      received: `${headerBytes}`,
    });
  const dataOffset = 8 + Number(headerBytes);
  if (dataOffset > totalBytes) throw truncated(path, dataOffset, totalBytes);
  const bytes = Buffer.alloc(Number(headerBytes));
  if ((await readFully(file, bytes, 8)) < bytes.length) throw truncated(path, dataOffset, totalBytes);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalid(path, 'the header is not UTF-8', { op: 'header', cause });
  }
  return parseHeader(path, text, dataOffset, totalBytes);
}
