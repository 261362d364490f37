import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTemporaryName, writeAtomically } from '../../lib/formats/index.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-atomic-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('writeAtomically', () => {
  test('a file and a folder appear whole, nothing else stays', async () => {
    await writeAtomically(join(folder, 'a.txt'), (path) => writeFile(path, 'new'));
    await writeAtomically(join(folder, 'b'), async (path) => {
      await mkdir(path);
      await writeFile(join(path, 'c'), 'inside');
    });
    expect((await readdir(folder)).sort()).toEqual(['a.txt', 'b']);
    expect(await readFile(join(folder, 'b', 'c'), 'utf8')).toBe('inside');
  });

  test('until then the temporary name is told apart and the old content stands', async () => {
    const path = join(folder, 'a.txt');
    await writeFile(path, 'old');
    await writeAtomically(path, async (temporary) => {
      await writeFile(temporary, 'new');
      const names = await readdir(folder);
      expect(names.filter(isTemporaryName)).toHaveLength(1);
      expect(await readFile(path, 'utf8')).toBe('old');
    });
    expect(await readFile(path, 'utf8')).toBe('new');
  });

  test.each([
    ['ENOSPC', /space/],
    ['EROFS', /writable/],
    ['EIO', /intact/],
  ])('%s becomes a typed error; the old content stands and the temporary is gone', async (code, remedy) => {
    const path = join(folder, 'a.txt');
    await writeFile(path, 'old');
    const full = Object.assign(new Error(`${code}: refused`), { code });
    const writing = writeAtomically(path, async (temporary) => {
      await writeFile(temporary, 'half');
      throw full;
    });
    await expect(writing).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_WRITE',
      remedy: expect.stringMatching(remedy),
      cause: full,
    });
    expect(await readdir(folder)).toEqual(['a.txt']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });
});
