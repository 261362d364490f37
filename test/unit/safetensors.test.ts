import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCompactError } from '../../lib/errors.js';
import { SafetensorsFile, writeSafetensors } from '../../lib/formats/index.js';
import type { TensorSource } from '../../lib/formats/index.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

const source = (
  name: string,
  dtype: TensorSource['dtype'],
  shape: number[],
  bytes: Uint8Array,
): TensorSource => ({
  name,
  dtype,
  shape,
  async *read() {
    for (let i = 0; i < bytes.length; i += 3) yield bytes.subarray(i, i + 3);
  },
});

const range = (length: number, start = 0) => Uint8Array.from({ length }, (_, i) => (i + start) % 251);

/** A file from a header object or text and a number of data bytes. */
async function fileOf(header: unknown, numDataBytes: number, headerLength?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerLength ?? BigInt(json.length));
  const path = join(folder, `hostile-${Math.random()}.safetensors`);
  await writeFile(path, Buffer.concat([length, json, Buffer.alloc(numDataBytes)]));
  return path;
}

async function codeOfOpening(path: string): Promise<string> {
  try {
    await (await SafetensorsFile.open(path)).close();
    return 'opened';
  } catch (error) {
    return isCompactError(error) ? error.code : `untyped: ${String(error)}`;
  }
}

const tensor = (begin: number, end: number, extra: object = {}) => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
  ...extra,
});

describe('safetensors', () => {
  test('what is written is read again, whole and in ranges, for every dtype', async () => {
    const path = join(folder, 'round.safetensors');
    const tensors = [
      source('a', 'f32', [2, 3], range(24)),
      source('b.weight', 'bf16', [5], range(10, 7)),
      source('c', 'i32', [1], range(4, 99)),
      source('d', 'u8', [7], range(7)),
      source('e', 'i8', [2, 1], range(2)),
    ];
    const numBytes = await writeSafetensors(path, tensors, { format: 'pt' });
    expect((await readFile(path)).length).toBe(numBytes);
    await using file = await SafetensorsFile.open(path);
    expect(file.metadata).toEqual({ format: 'pt' });
    expect([...file.tensors.keys()]).toEqual(['a', 'b.weight', 'c', 'd', 'e']);
    expect(file.tensors.get('b.weight')).toMatchObject({ dtype: 'bf16', shape: [5], byteLength: 10 });
    expect(await file.read('a')).toEqual(range(24));
    expect(await file.read('b.weight', { byteOffset: 4, byteLength: 3 })).toEqual(range(3, 11));
    await expect(file.read('a', { byteOffset: 20, byteLength: 5 })).rejects.toMatchObject({
      code: 'ERR_COMPACT_ARGUMENT',
    });
  });

  test('the bytes on disk are the published layout', async () => {
    const path = join(folder, 'layout.safetensors');
    await writeSafetensors(path, [source('x', 'u8', [3], range(3, 65))]);
    const bytes = await readFile(path);
    const headerBytes = Number(bytes.readBigUInt64LE());
    expect((8 + headerBytes) % 8).toBe(0);
    expect(JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes))).toEqual({
      __metadata__: {},
      x: { dtype: 'U8', shape: [3], data_offsets: [0, 3] },
    });
    expect(bytes.toString('latin1', 8 + headerBytes)).toBe('ABC');
  });

  test('a tensor that gives too few bytes is refused while writing', async () => {
    const path = join(folder, 'short.safetensors');
    await expect(writeSafetensors(path, [source('x', 'f32', [4], range(12))])).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_WRITE',
    });
  });

  const invalid = 'ERR_COMPACT_CHECKPOINT_INVALID';
  const truncated = 'ERR_COMPACT_CHECKPOINT_TRUNCATED';
  test.each<[string, () => Promise<string>, string]>([
    ['a sound file', () => fileOf({ a: tensor(0, 8), b: tensor(8, 12) }, 12), 'opened'],
    ['no tensors', () => fileOf({}, 0), 'opened'],
    ['a header longer than any', () => fileOf({}, 0, 2n ** 63n), invalid],
    ['a header longer than the file', () => fileOf({}, 0, 1000n), truncated],
    ['not JSON', () => fileOf('{"a":', 0), invalid],
    ['a list', () => fileOf([], 0), invalid],
    ['deep nesting', () => fileOf(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 0), invalid],
    ['overlap', () => fileOf({ a: tensor(0, 8), b: tensor(4, 12) }, 12), invalid],
    ['the same bytes twice', () => fileOf({ a: tensor(0, 8), b: tensor(0, 8) }, 8), invalid],
    ['a gap', () => fileOf({ a: tensor(0, 8), b: tensor(12, 16) }, 16), invalid],
    ['a gap at the start', () => fileOf({ a: tensor(4, 8) }, 8), invalid],
    ['bytes left over', () => fileOf({ a: tensor(0, 8) }, 9), invalid],
    ['the end missing', () => fileOf({ a: tensor(0, 8) }, 7), truncated],
    ['offsets out of range', () => fileOf({ a: tensor(0, 2 ** 50) }, 8), truncated],
    ['offsets beyond exact numbers', () => fileOf({ a: tensor(0, 2 ** 60) }, 8), invalid],
    ['negative offsets', () => fileOf({ a: tensor(-8, 0) }, 0), invalid],
    ['offsets backwards', () => fileOf({ a: tensor(8, 0, { shape: [2] }) }, 8), invalid],
    ['a shape that overflows', () => fileOf({ a: tensor(0, 8, { shape: [2 ** 40, 2 ** 40] }) }, 8), invalid],
    ['a wrong size', () => fileOf({ a: tensor(0, 8, { shape: [3] }) }, 8), invalid],
    ['an unknown dtype', () => fileOf({ a: tensor(0, 8, { dtype: 'F9' }) }, 8), invalid],
    [
      'a dtype that nothing here computes with',
      () => fileOf({ a: tensor(0, 2, { dtype: 'F8_E4M3', shape: [2] }) }, 2),
      'opened',
    ],
    [
      'elements that are no whole bytes',
      () => fileOf({ a: tensor(0, 4, { dtype: 'F6_E2M3', shape: [5] }) }, 4),
      invalid,
    ],
    ['elements of four bits', () => fileOf({ a: tensor(0, 3, { dtype: 'F4', shape: [2, 3] }) }, 3), 'opened'],
    [
      'empty tensors',
      () => fileOf({ a: tensor(0, 0, { shape: [0, 3] }), b: tensor(0, 8), c: tensor(8, 8) }, 8),
      'opened',
    ],
    ['a number without dimensions', () => fileOf({ a: tensor(0, 4, { shape: [] }) }, 4), 'opened'],
    [
      'an empty shape whose product overflows before',
      () => fileOf({ a: tensor(0, 0, { shape: [2 ** 40, 2 ** 40, 0] }) }, 0),
      invalid,
    ],
    ['spaces behind the JSON', () => fileOf(`${JSON.stringify({ a: tensor(0, 8) })}      `, 8), 'opened'],
    ['spaces before the JSON', () => fileOf(`  ${JSON.stringify({ a: tensor(0, 8) })}`, 8), invalid],
    ['a byte order mark', () => fileOf(`\ufeff${JSON.stringify({ a: tensor(0, 8) })}`, 8), invalid],
    [
      'a field twice',
      () => fileOf('{"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}', 8),
      invalid,
    ],
    [
      'a name twice, written in two ways',
      () => fileOf(`{"a":${JSON.stringify(tensor(0, 8))},"\\u0061":${JSON.stringify(tensor(0, 8))}}`, 8),
      invalid,
    ],
    [
      'a name like that of every object',
      () => fileOf('{"__proto__":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
      'opened',
    ],
    ['a string without an end', () => fileOf('{"a', 0), invalid],
    ['a tensor that is a list', () => fileOf({ a: [] }, 0), invalid],
    ['an empty header', () => fileOf('', 0), invalid],
    ['a dtype named like a method', () => fileOf({ a: tensor(0, 8, { dtype: 'constructor' }) }, 8), invalid],
    ['fractions in the shape', () => fileOf({ a: tensor(0, 8, { shape: [0.5, 4] }) }, 8), invalid],
    ['no shape', () => fileOf({ a: { dtype: 'F32', data_offsets: [0, 8] } }, 8), invalid],
    ['three offsets', () => fileOf({ a: tensor(0, 8, { data_offsets: [0, 8, 8] }) }, 8), invalid],
    ['metadata of numbers', () => fileOf({ __metadata__: { a: 1 } }, 0), invalid],
    ['metadata in a list', () => fileOf({ __metadata__: ['a'] }, 0), invalid],
    ['deep metadata', () => fileOf({ __metadata__: { a: [[1]] } }, 0), invalid],
    [
      'a name twice',
      () => fileOf(`{"a\\"}": ${JSON.stringify(tensor(0, 8))}, "a\\"}": ${JSON.stringify(tensor(0, 8))}}`, 8),
      invalid,
    ],
    [
      'bytes that are not UTF-8',
      () =>
        fileOf(`{}`, 0).then(async (path) => {
          await writeFile(
            path,
            Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]),
          );
          return path;
        }),
      invalid,
    ],
    [
      'an empty file',
      async () => {
        const path = join(folder, 'empty.safetensors');
        await writeFile(path, '');
        return path;
      },
      truncated,
    ],
    ['no file', async () => join(folder, 'absent.safetensors'), 'ERR_COMPACT_CHECKPOINT_MISSING'],
  ])('%s', async (_, make, code) => {
    expect(await codeOfOpening(await make())).toBe(code);
  });

  test.each([
    ['a.dtype', { a: tensor(0, 8, { dtype: 'F9' }) }],
    ['a.shape', { a: tensor(0, 8, { shape: [2 ** 40, 2 ** 40] }) }],
    ['a.data_offsets', { a: tensor(0, 8, { shape: [3] }) }],
    ['b.data_offsets', { a: tensor(0, 8), b: tensor(4, 8, { shape: [1] }) }],
    ['__metadata__.k', { __metadata__: { k: 1 } }],
    ['a', { a: 7 }],
    ['header', [] as unknown],
  ])('the error names the field %s', async (op, header) => {
    await expect(SafetensorsFile.open(await fileOf(header, 8))).rejects.toMatchObject({ code: invalid, op });
  });

  test('truncation at every length is refused with a typed error', async () => {
    const path = join(folder, 'whole.safetensors');
    await writeSafetensors(path, [source('a', 'f32', [2], range(8)), source('b', 'u8', [5], range(5))]);
    const bytes = await readFile(path);
    for (let length = 0; length < bytes.length; length++) {
      await writeFile(join(folder, 'cut.safetensors'), bytes.subarray(0, length));
      expect(await codeOfOpening(join(folder, 'cut.safetensors'))).toBe(truncated);
    }
  });
});
