import { afterAll, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolders } from '../../lib/formats/index.js';

const root = mkdtempSync(join(tmpdir(), 'compact-folders-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('makes what is missing, and gives the topmost folder that it made', async () => {
  expect(await makeFolders(join(root, 'a', 'b', 'c'))).toBe(join(root, 'a'));
  expect(statSync(join(root, 'a', 'b', 'c')).isDirectory()).toBe(true);
  expect(await makeFolders(join(root, 'a', 'b', 'd'))).toBe(join(root, 'a', 'b', 'd'));
  expect(await makeFolders(join(root, 'a', 'b', 'd'))).toBeUndefined();
});

test('made by several at once, each folder is the first one of one of them', async () => {
  const path = join(root, 'many', 'x', 'y');
  const made = await Promise.all(Array.from({ length: 8 }, () => makeFolders(path)));
  expect(existsSync(path)).toBe(true);
  expect(made.filter((topmost) => topmost === join(root, 'many'))).toHaveLength(1);
});

test('a file in the way is the error of the system', async () => {
  writeFileSync(join(root, 'file'), '');
  await expect(makeFolders(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(makeFolders(join(root, 'file', 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('what was made before a failure is taken back', async () => {
  mkdirSync(join(root, 'kept'));
  const tooLong = 'x'.repeat(300);
  await expect(makeFolders(join(root, 'kept', 'new', tooLong))).rejects.toMatchObject({
    code: 'ENAMETOOLONG',
  });
  expect(existsSync(join(root, 'kept', 'new'))).toBe(false);
  expect(existsSync(join(root, 'kept'))).toBe(true);
});

const onProc = existsSync('/proc/self') ? test : test.skip;
if (!existsSync('/proc/self')) process.stderr.write('skipped: no /proc, in which nothing can be made\n');

onProc('where nothing can be made is an error, not an endless search', async () => {
  await expect(makeFolders('/proc/no-such-folder/below')).rejects.toMatchObject({ code: 'ENOENT' });
});
