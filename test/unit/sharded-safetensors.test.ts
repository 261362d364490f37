/** Folders of weights: one file, shards with an index, and what is wrong with them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { openWeights, writeSafetensors } from '../../lib/formats/index.js';

const root = mkdtempSync(join(tmpdir(), 'compact-shards-'));
afterAll(() => rmSync(root, { recursive: true }));
let numFolders = 0;

const dataOf = (name: string): Uint8Array => Uint8Array.from({ length: 8 }, (_, i) => i + name.charCodeAt(0));

/** A folder of shards, each with the tensors that are named, and an index. */
async function folderOf(
  shards: Readonly<Record<string, readonly string[]>>,
  index?: unknown,
  others: readonly string[] = [],
): Promise<string> {
  const folder = join(root, String(numFolders++));
  mkdirSync(folder);
  for (const [file, names] of Object.entries(shards)) {
    const sources = names.map((name) => ({
      name,
      dtype: 'f32' as const,
      shape: [2],
      async *read() {
        yield dataOf(name);
      },
    }));
    await writeSafetensors(join(folder, file), sources);
  }
  if (index !== undefined)
    writeFileSync(
      join(folder, 'model.safetensors.index.json'),
      typeof index === 'string' || index instanceof Uint8Array ? index : JSON.stringify(index),
    );
  for (const name of others) writeFileSync(join(folder, name), 'x');
  return folder;
}

const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const both = { [one]: ['b', 'a'], [two]: ['c'] };
const map = { a: one, c: two, b: one };
const indexOf = (weight_map: unknown) => ({ metadata: { total_size: 24 }, weight_map });

describe('tensors are read, whole and in part, from', () => {
  test.each<[string, () => Promise<string>, string[]]>([
    ['one file', () => folderOf({ 'model.safetensors': ['a', 'b'] }), ['a', 'b']],
    ['shards', () => folderOf(both, indexOf(map)), ['a', 'c', 'b']],
    [
      'one file, an index beside it',
      () => folderOf({ ...both, 'model.safetensors': ['z'] }, indexOf(map)),
      ['z'],
    ],
    [
      'a file by its path',
      async () => join(await folderOf({ 'any.safetensors': ['q'] }), 'any.safetensors'),
      ['q'],
    ],
    [
      'shards with a pickle beside them',
      () => folderOf(both, indexOf(map), ['pytorch_model.bin']),
      ['a', 'c', 'b'],
    ],
  ])('%s', async (_, make, names) => {
    await using weights = await openWeights(await make());
    expect([...weights.tensors.keys()]).toEqual(names);
    for (const name of names) {
      const part = new Uint8Array(5);
      await weights.readInto(name, part, 3);
      expect(part).toEqual(dataOf(name).subarray(3));
      expect(weights.tensors.get(name)).toMatchObject({ dtype: 'f32', shape: [2], byteLength: 8 });
    }
  });

  test('a shard behind a symbolic link, as download caches have them', async () => {
    const real = await folderOf({ 'blob.safetensors': ['a'] });
    const folder = await folderOf({}, indexOf({ a: one }));
    symlinkSync(join(real, 'blob.safetensors'), join(folder, one));
    await using weights = await openWeights(folder);
    expect([...weights.tensors.keys()]).toEqual(['a']);
  });
});

describe('refused:', () => {
  const refused = { code: 'ERR_COMPACT_CHECKPOINT_INVALID' };
  const missing = { code: 'ERR_COMPACT_CHECKPOINT_MISSING' };
  const opOf = (tensor: string) => `weight_map.${tensor}`;

  test.each<[string, () => Promise<string>, object]>([
    [
      'a shard that is not there',
      () => folderOf({ [one]: ['a', 'b'] }, indexOf(map)),
      { ...missing, op: opOf('c'), expected: two },
    ],
    [
      'a way out of the folder',
      () => folderOf(both, indexOf({ ...map, a: '../model.safetensors' })),
      { ...refused, op: opOf('a') },
    ],
    [
      'a folder inside',
      () => folderOf(both, indexOf({ ...map, a: 'x/y.safetensors' })),
      { ...refused, op: opOf('a') },
    ],
    [
      'a path of another system',
      () => folderOf(both, indexOf({ ...map, a: 'C:\\x.safetensors' })),
      { ...refused, op: opOf('a') },
    ],
    [
      'an absolute path',
      () => folderOf(both, indexOf({ ...map, a: '/dev/zero' })),
      { ...refused, op: opOf('a') },
    ],
    [
      'a NUL in a name',
      () => folderOf(both, indexOf({ ...map, a: 'a\0.safetensors' })),
      { ...refused, op: opOf('a') },
    ],
    [
      'a shard that is no text',
      () => folderOf(both, indexOf({ ...map, a: 1 })),
      { ...refused, op: opOf('a') },
    ],
    [
      'a shard that is a pickle',
      () => folderOf(both, indexOf({ ...map, a: 'pytorch_model.bin' })),
      { ...refused, op: opOf('a') },
    ],
    [
      'a tensor in another shard',
      () => folderOf(both, indexOf({ ...map, a: two })),
      { ...refused, op: opOf('a'), expected: two, received: one },
    ],
    [
      'a tensor in no shard',
      () => folderOf(both, indexOf({ ...map, d: one })),
      { ...refused, op: opOf('d'), received: 'in no shard' },
    ],
    [
      'a tensor in two shards',
      () => folderOf({ ...both, [two]: ['c', 'a'] }, indexOf(map)),
      { ...refused, op: opOf('a'), received: two },
    ],
    [
      'a tensor that the index leaves out',
      () => folderOf(both, indexOf({ a: one, c: two })),
      { ...refused, op: opOf('b') },
    ],
    [
      'a tensor twice in the index',
      () => folderOf(both, `{"weight_map":{"a":"${one}","a":"${two}"}}`),
      refused,
    ],
    ['no map', () => folderOf(both, { metadata: {} }), refused],
    ['a list as the map', () => folderOf(both, indexOf([one])), refused],
    ['an index that is no JSON', () => folderOf(both, '{"weight_map":'), refused],
    ['an index of great depth', () => folderOf(both, '['.repeat(1e5) + ']'.repeat(1e5)), refused],
    ['an index that is not UTF-8', () => folderOf(both, Buffer.from([0x7b, 0xff, 0x7d])), refused],
    [
      'a broken shard',
      async () => folderOf(both, indexOf(map), [two]),
      { code: 'ERR_COMPACT_CHECKPOINT_TRUNCATED' },
    ],
    ['a folder without weights', () => folderOf({}, undefined, ['config.json']), missing],
    ['an empty folder', () => folderOf({}), { ...missing, received: 'an empty folder' }],
    ['nothing of that name', async () => join(root, 'nothing'), missing],
    [
      'a pickle',
      async () => join(root, 'model.pt'),
      { ...refused, remedy: expect.stringContaining('save_pretrained') },
    ],
    [
      'a folder of pickles',
      () => folderOf({}, undefined, ['pytorch_model-00001-of-00002.bin']),
      { ...refused, remedy: expect.stringContaining('save_pretrained') },
    ],
  ])('%s', async (_, make, fields) => {
    await expect(openWeights(await make())).rejects.toMatchObject(fields);
  });
});
