import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Trainer } from '../../lib/train/index.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();

function shortText(length: number): string {
  const path = join(folder, `${length}.txt`);
  writeFileSync(path, 'abcdefghijklmnopqrstuvwxyz'.repeat(length).slice(0, length));
  return path;
}

test('a text of one sequence is refused before the first step when the run evaluates', async () => {
  const outputDirectory = join(folder, 'short');
  await expect(
    Trainer.create(tinyRun(shortText(17), { evalSteps: 2, outputDirectory })),
  ).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_TOO_SHORT', op: 'data' });
  await using trainer = await Trainer.create(tinyRun(shortText(17), { maxSteps: 1 }));
  expect((await trainer.run()).step).toBe(1);
});

test('what may not be as the user thinks is told with the data', async () => {
  await using trainer = await Trainer.create(
    tinyRun(shortText(70), {
      gradientAccumulationSteps: 3,
      data: { train: shortText(70), validationFraction: 0 },
    }),
  );
  expect(trainer.data.numTrainSequences).toBe(4);
  expect(trainer.data.warnings).toEqual([expect.stringMatching(/A step of 6 sequences .* 1\.5 times/)]);
});

test('tokenising tells how far it is, and a signal ends the start without a trace', async () => {
  const told: { doneBytes: number; totalBytes: number }[] = [];
  await using trainer = await Trainer.create(
    tinyRun(text, { onTokenize: (progress) => told.push(progress) }),
  );
  expect(told.at(-1)!.doneBytes).toBe(told.at(-1)!.totalBytes);
  expect(trainer.data.warnings).toEqual([]);
  const outputDirectory = join(folder, 'aborted');
  await expect(
    Trainer.create(tinyRun(text, { outputDirectory, signal: AbortSignal.abort() })),
  ).rejects.toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
  expect(readdirSync(folder)).not.toContain('aborted');
});
