import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { dense } from '../../lib/methods/index.js';
import { Trainer } from '../../lib/train/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

jest.setTimeout(120_000);
const { folder, text } = makeFolder();

/** A rate at which fp32 weights overflow within a few steps, after some harmless ones of the warm-up. */
const explosive: Partial<TrainerOptions> = {
  learningRate: 1e38,
  lrSchedulerType: 'inverse_sqrt',
  warmupSteps: 1,
  method: dense(),
  maxSteps: 50,
};

describe('numbers that are not finite', () => {
  test.each<[string, Partial<TrainerOptions>]>([
    ['in one run', {}],
    ['with accumulation', { gradientAccumulationSteps: 2 }],
    ['with clipping', { maxGradNorm: 1 }],
  ])(
    '%s: the error names layer, step and the last good checkpoint; nothing is overwritten',
    async (name, change) => {
      const outputDirectory = join(folder, name);
      const options = tinyRun(text, { ...explosive, ...change, outputDirectory, saveSteps: 1 });
      await using trainer = await Trainer.create(options);
      const error = await trainer.run().then(
        () => undefined,
        (reason: unknown) => reason as { code: string; message: string; details: Record<string, unknown> },
      );
      expect(error).toMatchObject({
        code: 'ERR_COMPACT_NOT_FINITE',
        details: { layer: expect.stringMatching(/^(embedding|layers\.\d\.(attention|mlp)|head|clipping)$/) },
      });
      const step = error!.details['step'] as number;
      const lastCheckpoint = join(outputDirectory, `checkpoint-${step - 1}`);
      expect(error!.message).toContain(`step ${step}`);
      expect(error!.message).toContain(lastCheckpoint);
      const saved = await readFile(join(lastCheckpoint, 'model.safetensors'));
      await expect(trainer.save()).rejects.toMatchObject({ code: 'ERR_COMPACT_NOT_FINITE' });
      await expect(trainer.run()).rejects.toMatchObject({ code: 'ERR_COMPACT_NOT_FINITE' });
      expect((await readdir(outputDirectory)).filter((file) => file.startsWith('checkpoint-'))).toEqual(
        [step - 2, step - 1].filter((kept) => kept > 0).map((kept) => `checkpoint-${kept}`),
      );
      expect(await readFile(join(lastCheckpoint, 'model.safetensors'))).toEqual(saved);
    },
  );

  test('without a checkpoint the steps from the start are repeated to find the layer', async () => {
    await using trainer = await Trainer.create(tinyRun(text, explosive));
    await expect(trainer.run()).rejects.toMatchObject({
      code: 'ERR_COMPACT_NOT_FINITE',
      details: { layer: expect.any(String), step: expect.any(Number) },
    });
  });
});
