import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { removeEmptyFolders } from '../../lib/formats/index.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-folders-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('removeEmptyFolders', () => {
  test('takes back all that was made, and nothing above it', async () => {
    await mkdir(join(folder, 'here'));
    const leaf = join(folder, 'here', 'a', 'b', 'c');
    await removeEmptyFolders(leaf, await mkdir(leaf, { recursive: true }));
    expect(existsSync(join(folder, 'here', 'a'))).toBe(false);
    expect(existsSync(join(folder, 'here'))).toBe(true);
  });

  test('by a relative path, too', async () => {
    const leaf = relative(process.cwd(), join(folder, 'a', 'b'));
    await removeEmptyFolders(leaf, await mkdir(leaf, { recursive: true }));
    expect(existsSync(join(folder, 'a'))).toBe(false);
    expect(existsSync(folder)).toBe(true);
  });

  test('a folder that was there stays, though it is empty', async () => {
    await removeEmptyFolders(folder, await mkdir(folder, { recursive: true }));
    expect(existsSync(folder)).toBe(true);
  });

  test('what others have put in stays, with the folders above it', async () => {
    const leaf = join(folder, 'runs', 'a');
    const topmost = await mkdir(leaf, { recursive: true });
    await mkdir(join(folder, 'runs', 'b'));
    await writeFile(join(folder, 'runs', 'b', 'model'), 'saved');
    await removeEmptyFolders(leaf, topmost);
    expect(existsSync(leaf)).toBe(false);
    expect(existsSync(join(folder, 'runs', 'b', 'model'))).toBe(true);
  });

  test('a file in the leaf keeps every folder', async () => {
    const leaf = join(folder, 'runs', 'a');
    const topmost = await mkdir(leaf, { recursive: true });
    await writeFile(join(leaf, 'file'), '');
    await removeEmptyFolders(leaf, topmost);
    expect(existsSync(join(leaf, 'file'))).toBe(true);
  });

  test('folders that somebody else has removed are passed over', async () => {
    const leaf = join(folder, 'runs', 'a', 'b');
    const topmost = await mkdir(leaf, { recursive: true });
    await rm(join(folder, 'runs', 'a'), { recursive: true });
    await removeEmptyFolders(leaf, topmost);
    expect(existsSync(join(folder, 'runs'))).toBe(false);
  });
});
