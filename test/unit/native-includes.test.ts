/** Which native folder may include which, as the table of docs/architecture.md has it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');

/** Rows of the table whose folder is a native one: the folders that it may include beside itself. */
const rows = [
  ...readFileSync(join(root, 'docs', 'architecture.md'), 'utf8').matchAll(
    /^\| `(native\/\w+|cuda)` \| ([^|]+) \|$/gm,
  ),
].map(([, folder, users]): [string, string[], string] => [
  folder!,
  users!
    .split(';')[0]!
    .split(',')
    .map((name) => `native/${/\w+/.exec(name)![0]}`),
  users!,
]);

interface Include {
  readonly file: string;
  readonly header: string;
}

function includesOf(folder: string): Include[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(h|cc|cu|cuh)$/.test(name) && !/^(test|bench)\//.test(name))
    .map((name) => join(folder, name));
  return files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/^#include ["<]([^">]+)[">]/gm)].map(
      ([, header]) => ({ file, header: header! }),
    ),
  );
}

const folderOf = (header: string): string | undefined => /^(native\/\w+|cuda)\//.exec(header)?.[1];

describe('a native folder includes only what the table lists', () => {
  test('and the table has them all', () => {
    const folders = readdirSync(join(root, 'native'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'test')
      .map(({ name }) => `native/${name}`);
    expect(rows.map(([folder]) => folder).sort()).toEqual(['cuda', ...folders].sort());
  });

  test.each(rows)('%s', (folder, allowed, words) => {
    const includes = includesOf(folder);
    expect(includes.length).toBeGreaterThan(0);
    const foreign = includes.filter(({ header }) => {
      const from = folderOf(header);
      return from !== undefined && from !== folder && !allowed.includes(from);
    });
    expect(foreign).toEqual([]);
    const hasNapi = includes.some(({ header }) => header === 'napi.h');
    expect(hasNapi).toBe(words.includes('napi.h'));
  });
});

test('CUDA sources know of their emulation by one header', () => {
  const users = includesOf('cuda').filter(
    ({ file, header }) => header.startsWith('cuda/emulation/') && !file.startsWith('cuda/emulation/'),
  );
  expect(users).toEqual([{ file: 'cuda/simt/gpu.h', header: 'cuda/emulation/emulation.h' }]);
});
