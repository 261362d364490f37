import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunLock } from '../../lib/train/run-lock.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const locked = { code: 'ERR_COMPACT_OUTPUT_LOCKED' };
const lockPath = (): string => join(folder, 'run.lock');

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid!;
}

describe('RunLock', () => {
  test('one at a time; again when it was released', async () => {
    const lock = await RunLock.acquire(folder);
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({
      ...locked,
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await lock.release();
    await (await RunLock.acquire(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  test('of ten that try at once one succeeds, also over a stale lock', async () => {
    for (const stale of [false, true]) {
      if (stale) await writeFile(lockPath(), JSON.stringify({ pid: await deadPid(), host: hostname() }));
      const tries = await Promise.allSettled(Array.from({ length: 10 }, () => RunLock.acquire(folder)));
      const won = tries.filter((result) => result.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]!.value.release();
    }
  });

  test('a dead process loses its lock', async () => {
    await writeFile(lockPath(), JSON.stringify({ pid: await deadPid(), host: hostname() }));
    const lock = await RunLock.acquire(folder);
    expect(JSON.parse(await readFile(lockPath(), 'utf8'))).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  test('a later process with the number of a dead one is not taken for it', async () => {
    const lock = await RunLock.acquire(folder);
    const owner = JSON.parse(await readFile(lockPath(), 'utf8')) as { processStart?: string };
    await lock.release();
    if (owner.processStart === undefined) {
      console.warn('skipped: this system does not tell when a process started');
      return;
    }
    await writeFile(lockPath(), JSON.stringify({ ...owner, processStart: '1' }));
    await (await RunLock.acquire(folder)).release();
  });

  test.each([
    ['of another machine', JSON.stringify({ pid: 1, host: 'elsewhere' })],
    ['that is half written', '{"pid":'],
  ])('a lock %s stays', async (_, content) => {
    await writeFile(lockPath(), content);
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({
      ...locked,
      remedy: expect.stringContaining(lockPath()),
    });
    expect(await readFile(lockPath(), 'utf8')).toBe(content);
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

  test('a file in the way is a typed error', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(RunLock.acquire(join(folder, 'file', 'run'))).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_WRITE',
    });
  });
});
