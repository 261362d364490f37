import { spawnSync } from 'node:child_process';
import { promises } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  isTemporaryName,
  makeTemporaryFolder,
  removeAtomically,
  removeLeftovers,
  writeFileAtomically,
  writeFolderAtomically,
} from '../../lib/formats/index.js';

const distribution = join(__dirname, '..', '..', 'dist', 'formats', 'index.js');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-atomic-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('atomic writes', () => {
  test('a file and a folder appear whole, nothing else stays', async () => {
    await writeFileAtomically(join(folder, 'a.txt'), (file) => file.writeFile('new'));
    await writeFolderAtomically(join(folder, 'b'), (path) => writeFile(join(path, 'c'), 'inside'));
    expect((await readdir(folder)).sort()).toEqual(['a.txt', 'b']);
    expect(await readFile(join(folder, 'b', 'c'), 'utf8')).toBe('inside');
  });

  test('until then the temporary name is told apart and the old content stands', async () => {
    const path = join(folder, 'a.txt');
    await writeFile(path, 'old');
    await writeFileAtomically(path, async (file) => {
      await file.writeFile('new');
      const names = await readdir(folder);
      expect(names.filter(isTemporaryName)).toHaveLength(1);
      expect(await readFile(path, 'utf8')).toBe('old');
    });
    expect(await readFile(path, 'utf8')).toBe('new');
  });

  test('rights are those that the umask leaves', async () => {
    const before = process.umask(0o027);
    try {
      await writeFileAtomically(join(folder, 'a.txt'), (file) => file.writeFile('new'));
      await writeFolderAtomically(join(folder, 'b'), async () => {});
    } finally {
      process.umask(before);
    }
    expect((await stat(join(folder, 'a.txt'))).mode & 0o777).toBe(0o640);
    expect((await stat(join(folder, 'b'))).mode & 0o777).toBe(0o750);
  });

  test.each([
    ['ENOSPC', /space/],
    ['EROFS', /writable/],
    ['EIO', /intact/],
  ])('%s becomes a typed error; the old content stands and the temporary is gone', async (code, remedy) => {
    const path = join(folder, 'a.txt');
    await writeFile(path, 'old');
    const full = Object.assign(new Error(`${code}: refused`), { code });
    const writing = writeFileAtomically(path, async (file) => {
      await file.writeFile('half');
      throw full;
    });
    await expect(writing).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_WRITE',
      message: expect.stringContaining(path),
      received: `${code}: refused`,
      remedy: expect.stringMatching(remedy),
      cause: full,
    });
    expect(await readdir(folder)).toEqual(['a.txt']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  test('an error that is not the disk’s passes as it is', async () => {
    const mistake = new TypeError('a mistake');
    const writing = writeFolderAtomically(join(folder, 'a'), () => Promise.reject(mistake));
    await expect(writing).rejects.toBe(mistake);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(['EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP'])(
    'a system that cannot wait for the names in a folder (%s) is no error; for the bytes of a file it is',
    async (code) => {
      const { open } = promises;
      for (const refused of ['folder', 'file']) {
        const spy = jest.spyOn(promises, 'open').mockImplementation(async (path, flags) => {
          const handle = await open(path, flags);
          const isFolder = (await handle.stat()).isDirectory();
          if (isFolder === (refused === 'folder'))
            handle.sync = () => Promise.reject(Object.assign(new Error(`${code}: refused`), { code }));
          return handle;
        });
        const writing = writeFileAtomically(join(folder, refused), (file) => file.writeFile('new'));
        if (refused === 'folder') await writing;
        else await expect(writing).rejects.toMatchObject({ code: 'ERR_COMPACT_CHECKPOINT_WRITE' });
        spy.mockRestore();
      }
      expect(await readdir(folder)).toEqual(['folder']);
    },
  );

  test('a folder that an attempt left under its name is replaced', async () => {
    await mkdir(join(folder, 'b'));
    await writeFile(join(folder, 'b', 'old'), '');
    await writeFolderAtomically(join(folder, 'b'), (path) => writeFile(join(path, 'new'), ''));
    expect(await readdir(join(folder, 'b'))).toEqual(['new']);
    await removeAtomically(join(folder, 'b'));
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('leftovers', () => {
  const deadPid = spawnSync(process.execPath, ['-e', '']).pid;
  /** The names of this test's own process tell how those of another one here look. */
  const nameOf = async (pid: number, machine?: string): Promise<string> => {
    let name = '';
    await writeFileAtomically(join(folder, 'x'), async () => {
      name = (await readdir(folder)).find(isTemporaryName)!;
    });
    const [, own] = /\.([0-9a-f]{8})-\d+-/.exec(name)!;
    return name.replace(`${own}-${process.pid}`, `${machine ?? own}-${pid}`);
  };
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);

  test('what a dead process has left goes; what a living one, or one that cannot be seen, works on stays', async () => {
    const dead = await nameOf(deadPid);
    const alive = await nameOf(process.ppid);
    const elsewhere = await nameOf(deadPid, '01234567');
    const longDead = (await nameOf(deadPid, '76543210')).replace('.x.', '.y.');
    await rm(join(folder, 'x'));
    for (const name of [dead, alive, elsewhere, longDead, 'own.partial', '.own.partial'])
      await writeFile(join(folder, name), '');
    await utimes(join(folder, longDead), yesterday, yesterday);
    await removeLeftovers(folder);
    const rest = [alive, elsewhere, 'own.partial', '.own.partial'];
    expect((await readdir(folder)).sort()).toEqual(rest.toSorted());
    // The holder of a folder knows that nobody else is at it.
    await removeLeftovers(folder, true);
    expect((await readdir(folder)).sort()).toEqual(['.own.partial', 'own.partial']);
    await removeLeftovers(join(folder, 'none'));
  });

  test('temporary folders of dead processes go when another is made', async () => {
    const mine = await makeTemporaryFolder();
    expect((await stat(mine)).mode & 0o777).toBe(0o700);
    const dead = mine.replace(`-${process.pid}-`, `-${deadPid}-`);
    await mkdir(dead);
    await writeFile(join(dead, 'a.tokens'), '');
    // A link is removed, never what it points to.
    await writeFile(join(folder, 'kept'), '');
    const link = dead.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    await symlink(folder, link);
    const other = await makeTemporaryFolder();
    const left = await readdir(tmpdir());
    const names = [mine, dead, link, other].map((path) => path.slice(tmpdir().length + 1));
    expect(names.map((name) => left.includes(name))).toEqual([true, false, false, true]);
    expect(await readdir(folder)).toEqual(['kept']);
    await Promise.all([mine, other].map((path) => rm(path, { recursive: true })));
  });

  test('a process knows the names of another one on the same machine, and those of another start of it apart', async () => {
    const script = `require(${JSON.stringify(distribution)}).writeFileAtomically(${JSON.stringify(join(folder, 'x'))}, () => process.exit())`;
    for (let i = 0; i < 2; i++) spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    const [first, second] = (await readdir(folder)).filter(isTemporaryName);
    await rename(join(folder, second!), join(folder, second!.replace(/\.[0-9a-f]{8}-/, '.00000000-')));
    expect(await readdir(folder)).toHaveLength(2);
    await removeLeftovers(folder);
    expect(await readdir(folder)).toEqual([expect.stringContaining('.00000000-')]);
    expect(first).not.toBe(second);
  });
});
