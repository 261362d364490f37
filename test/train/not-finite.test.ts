import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compile } from '../../lib/compile/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { Trainer } from '../../lib/train/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';
import { readState } from '../../lib/train/checkpoints/checkpoint-state.js';
import { explainNotFinite } from '../../lib/train/not-finite.js';
import type { TrainerSettings } from '../../lib/train/options/options.js';
import { learningRates } from '../../lib/train/schedule/learning-rates.js';
import { writeConstants } from '../../lib/train/weights/tensor-files.js';
import { TrainingState } from '../../lib/train/checkpoints/training-state.js';
import { writeModelFolder } from '../helpers/model-folder.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

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

  test.each<[string, Partial<TrainerOptions>]>([
    ['f32', {}],
    ['bf16', { dtype: 'bf16' }],
    ['when the last step is done', { saveSteps: 0, maxSteps: 2 }],
  ])(
    '%s weights that are not are never saved, though the loss still was: the last finite checkpoint is kept and named',
    async (name, change) => {
      const outputDirectory = join(folder, `weights-${name}`);
      // The first step has a rate of 0; the second one makes weights infinite from gradients and a loss that are not.
      const infinite = { ...explosive, learningRate: 1e39, saveTotalLimit: 1, saveSteps: 1 };
      const options = tinyRun(text, { ...infinite, ...change, outputDirectory });
      await using trainer = await Trainer.create(options);
      trainer.once('step', () => void trainer.save());
      const losses: number[] = [];
      trainer.on('step', ({ loss }) => losses.push(loss));
      const lastCheckpoint = join(outputDirectory, 'checkpoint-1');
      await expect(trainer.run()).rejects.toMatchObject({
        code: 'ERR_COMPACT_NOT_FINITE',
        message: expect.stringContaining(lastCheckpoint),
        details: {
          step: 2,
          quantity: expect.stringContaining('weight'),
          layer: expect.any(String),
          lastCheckpoint,
        },
      });
      expect(losses.every(Number.isFinite)).toBe(true);
      const names = await readdir(outputDirectory);
      expect(names.filter((file) => file.includes('checkpoint'))).toEqual(['checkpoint-1']);
      await expect(trainer.save()).rejects.toMatchObject({ code: 'ERR_COMPACT_NOT_FINITE' });
      await trainer.close();
      const again = { ...change, outputDirectory, resumeFromCheckpoint: 'latest', maxSteps: 3 };
      await using resumed = await Trainer.create(tinyRun(text, { method: dense(), ...again }));
      await expect(resumed.run()).resolves.toMatchObject({ checkpoint: { step: 3 } });
    },
  );

  test('an evaluation that is not a number is never the best', async () => {
    const outputDirectory = join(folder, 'best');
    const change = {
      ...explosive,
      learningRate: 1e10,
      maxSteps: 2,
      evalSteps: 1,
      evalSequences: 1,
      saveSteps: 1,
    };
    await using trainer = await Trainer.create(tinyRun(text, { ...change, outputDirectory }));
    const evaluations: number[] = [];
    trainer.on('evaluate', ({ loss }) => evaluations.push(loss));
    const saved: boolean[] = [];
    trainer.on('checkpoint', ({ isBest }) => saved.push(isBest));
    await trainer.run();
    expect(evaluations.map(Number.isFinite)).toEqual([true, false]);
    expect(saved).toEqual([true, false]);
    expect((await readState(join(outputDirectory, 'checkpoint-2'))).best).toEqual({
      step: 1,
      metric: 'loss',
      value: evaluations[0],
    });
  });

  test('what a failed window has left behind is not taken for where it began', async () => {
    const [method, model] = [dense(), llama(tinyConfig)];
    const sizes = { batchSize: 2, sequenceLength: 16 };
    const plan = compile({
      ...{ model, method, ...sizes, dtype: 'f32', maxGradNorm: 1 },
      target: cpuTarget({ threads: 1 }),
      entries: ['initialize', 'train'],
    });
    await using engine = await Engine.open({ device: 'cpu', threads: 1 });
    await engine.load(plan);
    await writeConstants(engine, plan, model, sizes.sequenceLength);
    await engine.run('initialize');
    for (const { kind, region, name, bytes } of plan.values)
      if (kind === 'gradient' && region === 'persistent')
        await engine.write(name, new Float32Array(bytes / 4).fill(NaN));
    const tokens = new Int32Array(32);
    const dataset = {
      trainBatch: async () => ({ inputs: { tokens, targets: tokens }, numCountedTokens: 32 }),
      numCountedTokens: () => 32,
    };
    const state = new TrainingState({
      ...{ engine, plan, dataset, method, ...sizes, gradientAccumulationSteps: 1 },
      ratesAt: learningRates({ ...tinyRun(text), maxSteps: 8, lrSchedulerType: 'constant' }),
    });
    const error = await explainNotFinite(
      { what: 'the loss is NaN', step: 1, quantity: 'loss', value: NaN, isUpdated: false },
      {
        ...{ engine, plan, state, lastCheckpoint: undefined },
        settings: {} as TrainerSettings,
      },
    );
    expect(error).toMatchObject({ details: { step: 1, layer: undefined } });
  });

  test('without a checkpoint the steps from the start are repeated to find the layer', async () => {
    await using trainer = await Trainer.create(tinyRun(text, explosive));
    await expect(trainer.run()).rejects.toMatchObject({
      code: 'ERR_COMPACT_NOT_FINITE',
      details: { layer: expect.any(String), step: expect.any(Number) },
    });
  });

  test('without a checkpoint they start from the weights that the run started from', async () => {
    const model = llama(tinyConfig);
    const base = await writeModelFolder(join(folder, 'base'), model);
    // Finite numbers whose product is not, which no random initial weights are.
    const path = join(base, 'model.safetensors');
    const bytes = await readFile(path);
    const length = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
      string,
      { data_offsets: number[] }
    >;
    const [begin, end] = header['model.layers.1.mlp.up_proj.weight']!.data_offsets as [number, number];
    for (let at = begin; at < end; at += 4) bytes.writeFloatLE(3e38, 8 + length + at);
    await writeFile(path, bytes);
    await using trainer = await Trainer.create(tinyRun(text, { model, baseModel: base, method: dense() }));
    await expect(trainer.run()).rejects.toMatchObject({
      code: 'ERR_COMPACT_NOT_FINITE',
      details: { layer: 'layers.1.mlp', step: 1 },
    });
  });
});
