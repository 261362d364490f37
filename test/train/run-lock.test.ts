import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunLock } from '../../lib/train/checkpoints/run-lock.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const locked = { code: 'ERR_COMPACT_OUTPUT_LOCKED' };
const lockPath = (): string => join(folder, 'run.lock');

describe('RunLock', () => {
  test('one at a time; again when it was released', async () => {
    const lock = await RunLock.acquire(folder);
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({
      ...locked,
      message: expect.stringContaining(`process ${process.pid} on ${hostname()}, started 20`),
      remedy: expect.stringContaining('end that run'),
    });
    await lock.release();
    await (await RunLock.acquire(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  test('of ten that try at once one succeeds, also over a file that is there', async () => {
    for (const content of [undefined, 'left over']) {
      if (content !== undefined) await writeFile(lockPath(), content);
      const tries = await Promise.allSettled(Array.from({ length: 10 }, () => RunLock.acquire(folder)));
      const won = tries.filter((result) => result.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]!.value.release();
    }
  });

  test('one after the other, begun while the one before ends', async () => {
    for (let i = 0; i < 50; i++) {
      const lock = await RunLock.acquire(join(folder, 'a'));
      const [next] = await Promise.allSettled([RunLock.acquire(join(folder, 'a')), lock.release()]);
      if (next.status === 'fulfilled') await next.value.release();
      else expect(next.reason).toMatchObject(locked);
    }
    // The folder may stay where the second found it just before the first took it back; no file does.
    expect(await readdir(folder, { recursive: true })).not.toContain(join('a', 'run.lock'));
  });

  test.each([
    ['empty', ''],
    ['half written', '{"pid":'],
    ['of another machine', JSON.stringify({ pid: 1, host: 'elsewhere' })],
    ['of a living process', JSON.stringify({ pid: process.pid, host: hostname(), processStart: '1' })],
    ['longer than ours', 'x'.repeat(10_000)],
  ])('a file that nobody holds is no obstacle: %s', async (_, content) => {
    await writeFile(lockPath(), content);
    await writeFile(join(folder, 'run.lock.takeover'), content);
    const lock = await RunLock.acquire(folder);
    expect(JSON.parse(await readFile(lockPath(), 'utf8'))).toMatchObject({
      pid: process.pid,
      host: hostname(),
    });
    await expect(RunLock.acquire(folder)).rejects.toMatchObject(locked);
    await lock.release();
  });

  test('what a holder has not written, or written for a terminal, is not repeated', async () => {
    const lock = await RunLock.acquire(folder);
    for (const content of ['', `{"pid":1,"host":"\u001b[31mred","started":"now"}`]) {
      await writeFile(lockPath(), content);
      await expect(RunLock.acquire(folder)).rejects.toMatchObject({
        ...locked,
        what: `${folder} is in use by another run`,
      });
    }
    await lock.release();
  });

  test('the file is for its user alone', async () => {
    const lock = await RunLock.acquire(folder);
    if (process.platform !== 'win32') expect((await stat(lockPath())).mode & 0o777).toBe(0o600);
    await lock.release();
  });

  test('a file that somebody put in its place is not removed', async () => {
    const lock = await RunLock.acquire(folder);
    await rm(lockPath());
    await writeFile(lockPath(), 'another');
    await lock.release();
    expect(await readFile(lockPath(), 'utf8')).toBe('another');
  });

  test('a folder that was made goes again unless the run is kept', async () => {
    const nested = join(folder, 'a', 'b');
    await (await RunLock.acquire(nested)).release();
    expect(existsSync(join(folder, 'a'))).toBe(false);
    const lock = await RunLock.acquire(nested);
    lock.keep();
    await lock.release();
    expect(await readdir(nested)).toEqual([]);
  });

  test('what others have put into a folder that was made stays', async () => {
    const first = await RunLock.acquire(join(folder, 'runs', 'a'));
    const second = await RunLock.acquire(join(folder, 'runs', 'b'));
    second.keep();
    await writeFile(join(folder, 'runs', 'b', 'model'), 'saved');
    await second.release();
    await first.release();
    expect(await readdir(join(folder, 'runs'))).toEqual(['b']);
    expect(await readFile(join(folder, 'runs', 'b', 'model'), 'utf8')).toBe('saved');
  });

  test('something else in the way is a typed error', async () => {
    await writeFile(join(folder, 'file'), 'precious');
    const refused = { code: 'ERR_COMPACT_CHECKPOINT_WRITE', remedy: expect.any(String) };
    await expect(RunLock.acquire(join(folder, 'file', 'run'))).rejects.toMatchObject(refused);
    await mkdir(join(folder, 'a', 'run.lock'), { recursive: true });
    await expect(RunLock.acquire(join(folder, 'a'))).rejects.toMatchObject(refused);
    await mkdir(join(folder, 'b'));
    await symlink(join(folder, 'file'), join(folder, 'b', 'run.lock'));
    await expect(RunLock.acquire(join(folder, 'b'))).rejects.toMatchObject(refused);
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('precious');
  });
});
