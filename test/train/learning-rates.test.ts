import { join } from 'node:path';
import type { Plan } from '../../lib/compile/index.js';
import { compact, dense, type Method } from '../../lib/methods/index.js';
import { scalar, sgd } from '../../lib/graph/index.js';
import { llama } from '../../lib/models/index.js';
import type { RunOptions } from '../../lib/runtime/index.js';
import { readState } from '../../lib/train/checkpoints/checkpoint-state.js';
import { Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { resolveOptions, settingsOfRun } from '../../lib/train/options/options.js';
import { TrainingState } from '../../lib/train/checkpoints/training-state.js';
import { train } from '../helpers/exact-resume.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);
const roles = ['embeddingLearningRate', 'headLearningRate', 'normLearningRate'] as const;
const rates = { embeddingLearningRate: 0.04, headLearningRate: 0.02, normLearningRate: 0.03 };

const lossesOf = async (change: Partial<TrainerOptions>) =>
  (await train(tinyRun(text, { ...change, outputDirectory: newOutput() }))).losses;

describe('rates of embeddings, head and norms', () => {
  test('all peaks follow the schedule; those not given are the learning rate', async () => {
    const given: RunOptions['scalars'][] = [];
    const engine = {
      run: async (_: string, { scalars }: RunOptions = {}) => {
        given.push(scalars);
        return { outputs: { loss: Float32Array.of(1) }, durationMs: 0 };
      },
    };
    const tokens = new Int32Array(16);
    const options = resolveOptions(
      tinyRun(text, {
        method: dense(),
        learningRate: 0.01,
        embeddingLearningRate: 0.05,
        normLearningRate: 0,
        warmupSteps: 2,
        lrSchedulerType: 'linear',
        maxSteps: 4,
      }),
    );
    const state = new TrainingState({
      ...settingsOfRun(options, 8),
      engine,
      plan: { entries: { step: {} } } as unknown as Plan,
      dataset: {
        trainBatch: async () => ({ inputs: { tokens, targets: tokens }, numCountedTokens: 16 }),
        numCountedTokens: () => 16,
      },
    });
    const reported: number[] = [];
    for (let step = 0; step < 4; step++) reported.push((await state.advance()).learningRate);
    const shares = [0, 0.5, 1, 0.5];
    const peaks = {
      learningRate: 0.01,
      embeddingLearningRate: 0.05,
      headLearningRate: 0.01,
      normLearningRate: 0,
    };
    for (const [name, peak] of Object.entries(peaks))
      expect(given.map((scalars) => scalars![name as keyof typeof peaks])).toEqual(
        shares.map((share) => expect.closeTo(share * peak, 12)),
      );
    expect(reported).toEqual(given.map((scalars) => scalars!.learningRate));
  });

  test.each([
    ['dense', dense()],
    ['compact', compact({ rank: 8, refreshInterval: 3 })],
  ])('%s: the rate that is the default changes no bit, another one does', async (_, method) => {
    const plain = await lossesOf({ method });
    for (const role of roles) {
      expect(await lossesOf({ method, [role]: 0.01 })).toEqual(plain);
      expect(await lossesOf({ method, [role]: 0.02 })).not.toEqual(plain);
    }
  });

  test('stand in the checkpoint, go on to the bit, and may change on resume', async () => {
    const straight = await train(tinyRun(text, { ...rates, outputDirectory: newOutput() }));
    const first = await train(tinyRun(text, { ...rates, outputDirectory: newOutput() }), 4);
    expect((await readState(first.checkpoint)).training).toMatchObject({ learningRate: 0.01, ...rates });
    const resumed = (change: Partial<TrainerOptions>) =>
      lossesOf({ resumeFromCheckpoint: first.checkpoint, ...change });
    expect(await resumed(rates)).toEqual(straight.losses.slice(4));
    expect((await resumed({}))[1]).not.toBe(straight.losses[5]);
  });

  test.each(
    roles.flatMap((role) => [-0.1, NaN, Infinity, '0.1', null].map((value) => [role, value] as const)),
  )('%s: %p is refused', async (role, value) => {
    const options = tinyRun(text, { [role]: value });
    await expect(Trainer.create(options)).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: role,
    });
  });

  test('a rate that nothing learns at is refused: the head of tied embeddings, a method that knows one rate', async () => {
    const tied = llama({ ...tinyConfig, tieWordEmbeddings: true });
    await expect(Trainer.create(tinyRun(text, { model: tied, headLearningRate: 0.1 }))).rejects.toMatchObject(
      {
        code: 'ERR_COMPACT_CONFIG_VALUE',
        op: 'headLearningRate',
        remedy: expect.stringContaining('embeddingLearningRate'),
      },
    );
    const method: Method = {
      ...dense(),
      update: (_graph, weight, gradient) =>
        void sgd(weight, gradient, { learningRate: scalar('learningRate') }),
    };
    await expect(Trainer.create(tinyRun(text, { method, normLearningRate: 0.1 }))).rejects.toMatchObject({
      op: 'normLearningRate',
    });
    await using trainer = await Trainer.create(tinyRun(text, { model: tied, embeddingLearningRate: 0.1 }));
    expect(trainer.step).toBe(0);
  });
});
