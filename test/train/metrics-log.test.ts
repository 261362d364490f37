import { appendFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MetricsLog } from '../../lib/train/logs/metrics-log.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-metrics-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a resumed run drops what came after its checkpoint and what a crash cut off', async () => {
  const path = join(folder, 'metrics.jsonl');
  const first = await MetricsLog.open(path, 0);
  for (const step of [1, 2, 3, 4]) await first.write({ step, loss: step / 2 });
  await appendFile(path, '{"step":5,"lo');
  const resumed = await MetricsLog.open(path, 2);
  await resumed.write({ step: 3, loss: 9 });
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { step: 1, loss: 0.5 },
    { step: 2, loss: 1 },
    { step: 3, loss: 9 },
  ]);
  const fresh = await MetricsLog.open(path, 0);
  await fresh.write({ step: 1, loss: 7 });
  expect(await readFile(path, 'utf8')).toBe('{"step":1,"loss":7}\n');
});

test('a log that cannot be written is a typed error; what it has refused is written with the next line, once', async () => {
  const path = join(folder, 'metrics.jsonl');
  const log = await MetricsLog.open(path, 0);
  await log.write({ step: 1 });
  await rename(path, join(folder, 'away'));
  await mkdir(path);
  for (const step of [2, 3])
    await expect(log.write({ step })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_WRITE',
      message: expect.stringContaining(path),
    });
  await rm(path, { recursive: true });
  await rename(join(folder, 'away'), path);
  // As a disk does that runs full in the middle of a line.
  await appendFile(path, '{"step":2}\n{"st');
  await log.write({ step: 4 });
  await log.write({ step: 5 });
  expect(await readFile(path, 'utf8')).toBe([1, 2, 3, 4, 5].map((step) => `{"step":${step}}\n`).join(''));
});
