import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeartbeatLock } from '../../lib/train/checkpoints/heartbeat-lock.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-lock-'));
  path = join(folder, 'run.lock');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Holder and contender share one event loop here, so a busy machine slows both alike. */
const intervalMs = 50;
const acquire = (name: string): ReturnType<typeof HeartbeatLock.acquire> =>
  HeartbeatLock.acquire(path, { name }, intervalMs);

async function hold(name: string): Promise<HeartbeatLock> {
  const lock = await acquire(name);
  if (!(lock instanceof HeartbeatLock)) throw new Error(`held by ${lock.holder}`);
  return lock;
}

describe('HeartbeatLock', () => {
  test('excludes others while it is kept alive; free when released', async () => {
    const lock = await hold('first');
    expect(await acquire('second')).toEqual({ holder: expect.stringContaining('"name":"first"') });
    expect(lock.isLost).toBe(false);
    await lock.release();
    expect(existsSync(path)).toBe(false);
    await (await hold('second')).release();
  });

  test.each(['', '{"pid":', '{"pid":1,"host":"elsewhere"}'])(
    'a file that nobody writes is taken: %j',
    async (text) => {
      await writeFile(path, text);
      const lock = await hold('next');
      expect(await readFile(path, 'utf8')).toContain('"name":"next"');
      await lock.release();
      expect(existsSync(path)).toBe(false);
    },
  );

  test.each([false, true])('of five that try at once one succeeds; over an old file: %j', async (isOld) => {
    if (isOld) await writeFile(path, 'old');
    const tries = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(acquire));
    const won = tries.filter((result) => result instanceof HeartbeatLock);
    expect(won).toHaveLength(1);
    await won[0]!.release();
  });

  test('a holder whose file was taken notices, and leaves it alone', async () => {
    const lock = await hold('first');
    await writeFile(path, 'taken');
    while (!lock.isLost) await sleep(intervalMs);
    await lock.release();
    expect(await readFile(path, 'utf8')).toBe('taken');
  });

  test('the file is for its user alone', async () => {
    const lock = await hold('first');
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600);
    await lock.release();
  });
});
