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

test('a model that reads what text does not give is refused, and the field is named', async () => {
  const { model, ...options } = tinyRun(text);
  const images = { name: 'images', dtype: 'i32', shape: ['batchSize'], numIds: 256 } as const;
  const seeing = { ...model, batchFields: [...model.batchFields, images] };
  await expect(Trainer.create({ ...options, model: seeing })).rejects.toMatchObject({
    code: 'ERR_COMPACT_CONFIG_VALUE',
    op: 'model',
    received: 'images',
  });
});

test('ids of a text are below those of every field that the model reads', async () => {
  const { model, ...options } = tinyRun(text);
  const batchFields = model.batchFields.map((field) => ({ ...field, numIds: 256 }));
  await expect(Trainer.create({ ...options, model: { ...model, batchFields } })).rejects.toMatchObject({
    code: 'ERR_COMPACT_TOKENIZER',
    expected: 'ids below 256',
  });
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
