import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, tinyConfig } from '../helpers/tiny-run.js';
import { startTrainerChild } from '../helpers/trainer-child.js';

const { folder, text } = makeFolder();

const run = {
  data: { train: text },
  model: tinyConfig,
  method: { rank: 8 },
  batchSize: 1,
  sequenceLength: 8,
  maxSteps: 100,
  learningRate: 0.001,
  saveSteps: 1,
  threads: 1,
};

test('a file that may not grow: the save is refused, the older checkpoint stays, the run can go on', async () => {
  const outputDirectory = join(folder, 'limited');
  const first = startTrainerChild({ ...run, outputDirectory, maxSteps: 1 });
  expect(await first.next('result')).toMatchObject({ checkpoint: { step: 1 } });
  await first.ended;
  const checkpoint = join(outputDirectory, 'checkpoint-1');
  const before = await Promise.all(
    (await readdir(checkpoint)).map((name) => readFile(join(checkpoint, name))),
  );

  // 64 KiB a file, less than the weights; the signal that the system sends at the limit is ignored, as Node would.
  const limit = ['bash', '-c', 'trap "" XFSZ; ulimit -f 64; exec "$0" "$@"'];
  const child = startTrainerChild(
    { ...run, outputDirectory, resumeFromCheckpoint: 'latest' },
    { wrap: limit },
  );
  expect(await child.next('error')).toMatchObject({ code: 'ERR_COMPACT_CHECKPOINT_WRITE' });
  expect(await child.ended).toMatchObject({ exitCode: 0, stderr: '' });
  const names = await readdir(outputDirectory);
  expect(names.filter((name) => name.includes('checkpoint'))).toEqual(['checkpoint-1']);
  expect(
    await Promise.all((await readdir(checkpoint)).map((name) => readFile(join(checkpoint, name)))),
  ).toEqual(before);

  const again = startTrainerChild({ ...run, outputDirectory, resumeFromCheckpoint: 'latest', maxSteps: 2 });
  expect(await again.next('result')).toMatchObject({ step: 2, checkpoint: { step: 2 } });
});

test('a full disk: the save is refused, every older checkpoint stays whole', async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  // A file system of 2 MiB in a namespace of its own, seen by the child alone; it lists what is left at the end.
  const mount = `mount -t tmpfs -o size=2m tmpfs ${disk}`;
  const isPossible = spawnSync('unshare', ['-rm', 'bash', '-c', mount]).status === 0;
  if (!isPossible) {
    console.warn('skipped: this machine does not allow mounting a file system of a few megabytes');
    return;
  }
  const list = `find ${disk}/run -path '*checkpoint*' | sed 's/.*/{"left":"&"}/'; df --output=avail ${disk} >&2`;
  const wrap = ['unshare', '-rm', 'bash', '-c', `${mount} && "$0" "$@"; ${list}`];
  const child = startTrainerChild(
    { ...run, outputDirectory: join(disk, 'run'), saveTotalLimit: 0 },
    { wrap },
  );
  expect(await child.next('error')).toMatchObject({
    code: 'ERR_COMPACT_CHECKPOINT_WRITE',
    message: expect.stringContaining('ENOSPC'),
  });
  await child.ended;
  const saved = child.lines.flatMap(({ checkpoint }) =>
    checkpoint === undefined ? [] : [Number(checkpoint)],
  );
  expect(saved.length).toBeGreaterThan(2);
  const left = child.lines.flatMap(({ left }) => (typeof left === 'string' ? [left] : []));
  const files = [
    ...['model.safetensors', 'optimizer.safetensors', 'trainer.json'],
    ...['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'],
  ];
  const expected = saved.flatMap((step) => {
    const checkpoint = `${disk}/run/checkpoint-${step}`;
    return [checkpoint, ...files.map((name) => `${checkpoint}/${name}`)];
  });
  expect(left.toSorted()).toEqual(expected.toSorted());
});
