import { existsSync, mkdirSync, promises, renameSync, rmdirSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CompactError } from '../../lib/errors.js';
import { sessionStartRecord } from '../../lib/formats/index.js';
import type { Remedy } from '../../lib/memory/index.js';
import { compact, dense, galore } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { Sampler, Trainer } from '../../lib/train/index.js';
import type { StepReport, TrainerOptions, TrainResult } from '../../lib/train/index.js';
import { namesBelow } from '../helpers/file-faults.js';
import { makeFolder, tinyConfig, tinyMethod, tinyRun } from '../helpers/tiny-run.js';
import { startTrainerChild } from '../helpers/trainer-child.js';

const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);

async function reportsOf(trainer: Trainer): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  for await (const report of trainer) reports.push(report);
  return reports;
}

async function lossesOf(change: Partial<TrainerOptions>): Promise<number[]> {
  await using trainer = await Trainer.create(tinyRun(text, change));
  return (await reportsOf(trainer)).map(({ loss }) => loss);
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('steps', () => {
  test.each([
    ['dense', dense(), 0.005],
    ['compact', compact({ rankRatio: 0.5, refreshInterval: 20 }), 0.02],
  ])(
    '%s learns: the loss falls from that of guessing to that of knowing the words',
    async (_, method, learningRate) => {
      const change = { method, learningRate, maxSteps: 120, batchSize: 8, evalSteps: 120 };
      await using trainer = await Trainer.create(tinyRun(text, change));
      const losses = (await reportsOf(trainer)).map(({ loss }) => loss);
      // Every byte equally likely: log 264. One byte of the text knows its frequency at 2.6 nats; words are below that.
      expect(losses[0]).toBeCloseTo(Math.log(264), 1);
      expect(mean(losses.slice(-10))).toBeLessThan(2);
      const { loss, perplexity } = await trainer.evaluate();
      expect(loss).toBeLessThan(2);
      expect(perplexity).toBeCloseTo(Math.exp(loss), 10);
    },
  );

  test('real prose is learned too', async () => {
    const data = { train: 'sotu', cacheDirectory: join(folder, 'sotu') };
    const change = {
      data,
      learningRate: 0.02,
      maxSteps: 60,
      batchSize: 8,
      sequenceLength: 64,
      evalSteps: 60,
    };
    await using trainer = await Trainer.create(tinyRun(text, { ...change, evalSequences: 64 }));
    const { evaluation } = await trainer.run();
    // Knowing how frequent each byte is gives 3.1 nats on English; the untrained model has log 264 = 5.6.
    expect(evaluation!.loss).toBeLessThan(3.1);
    expect(evaluation!.numTokens).toBe(64 * 64);
  });

  test('reports say what happened', async () => {
    const change: Partial<TrainerOptions> = {
      gradientAccumulationSteps: 3,
      maxGradNorm: 1,
      warmupSteps: 4,
      evalSteps: 5,
      evalSequences: 3,
      lrSchedulerType: 'linear',
    };
    await using trainer = await Trainer.create(tinyRun(text, change));
    const reports = await reportsOf(trainer);
    expect(reports.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(reports.map(({ learningRate }) => learningRate * 100)).toEqual(
      [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25].map((share) => expect.closeTo(share, 10)),
    );
    const numTokens = 2 * 16 * 3;
    for (const report of reports) {
      expect(report.numTokens).toBe(numTokens);
      expect(report.numTokensSeen).toBe(report.step * numTokens);
      expect(report.epoch).toBeCloseTo((report.step * 6) / trainer.data.numTrainSequences, 10);
      expect(report.gradNorm).toBeGreaterThan(0);
      expect(report.tokensPerSecond).toBeGreaterThan(0);
      expect(report.memory.allocatedBytes).toBe(report.memory.plannedBytes);
      const { totalMs, ...parts } = report.time;
      expect(Object.values(parts).reduce((a, b) => a + b)).toBeLessThanOrEqual(totalMs);
    }
    expect(reports.filter(({ evaluation }) => evaluation).map(({ step }) => step)).toEqual([5, 8]);
    expect(reports[4]!.evaluation).toMatchObject({ step: 5, numTokens: 3 * 16 });
  });

  test('gradNorm is absent without clipping', async () => {
    await using trainer = await Trainer.create(tinyRun(text, { maxSteps: 1 }));
    expect((await reportsOf(trainer))[0]!.gradNorm).toBeUndefined();
  });

  test('one large batch equals the same cut into micro-batches', async () => {
    const learningRate = 1e-3;
    const whole = await lossesOf({ learningRate, batchSize: 4 });
    const cut = await lossesOf({ learningRate, batchSize: 1, gradientAccumulationSteps: 4 });
    const clipped = await lossesOf({ learningRate, batchSize: 4, maxGradNorm: 1e9 });
    // Sums of the same fp32 terms in another order: a few units in the last place, grown by eight steps.
    for (const [i, loss] of whole.entries()) {
      expect(Math.abs(cut[i]! - loss)).toBeLessThan(2e-5 * loss);
      expect(Math.abs(clipped[i]! - loss)).toBeLessThan(2e-5 * loss);
    }
    // They would differ much more if micro-batches were weighted wrongly.
    const other = await lossesOf({ learningRate, batchSize: 2, gradientAccumulationSteps: 1 });
    expect(Math.abs(other[7]! - whole[7]!)).toBeGreaterThan(1e-3);
  });

  test('equal seeds give equal losses; other seeds do not', async () => {
    const first = await lossesOf({ seed: 1, maxSteps: 3 });
    expect(await lossesOf({ seed: 1, maxSteps: 3 })).toEqual(first);
    expect(await lossesOf({ seed: 2, maxSteps: 3 })).not.toEqual(first);
  });
});

describe('the course of a run', () => {
  test('iteration does nothing between steps, and goes on after a break', async () => {
    await using trainer = await Trainer.create(tinyRun(text));
    const losses: number[] = [];
    for await (const { step, loss } of trainer) {
      losses.push(loss);
      await sleep(5);
      expect(trainer.step).toBe(step);
      if (step === 3) break;
    }
    for await (const { loss } of trainer) losses.push(loss);
    expect(losses).toEqual(await lossesOf({}));
  });

  test('evaluating and sampling in between changes nothing', async () => {
    await using trainer = await Trainer.create(tinyRun(text));
    const losses: number[] = [];
    for await (const { loss } of trainer) {
      losses.push(loss);
      await Promise.all([trainer.evaluate(), trainer.sample({ maxNewTokens: 2 })]);
    }
    expect(losses).toEqual(await lossesOf({}));
  });

  test('run() tells its progress by events', async () => {
    await using trainer = await Trainer.create(
      tinyRun(text, { outputDirectory: newOutput(), evalSteps: 4, saveSteps: 4 }),
    );
    const heard: string[] = [];
    let end: TrainResult | undefined;
    trainer.on('step', ({ step }) => heard.push(`step ${step}`));
    trainer.on('evaluate', ({ step }) => heard.push(`evaluate ${step}`));
    trainer.on('checkpoint', ({ step }) => heard.push(`checkpoint ${step}`));
    trainer.on('refresh', ({ step, projectionEpoch }) => heard.push(`refresh ${step} ${projectionEpoch}`));
    trainer.on('end', (result) => (end = result));
    const result = await trainer.run();
    expect(heard.join(', ')).toBe(
      'step 1, step 2, refresh 3 1, step 3, evaluate 4, checkpoint 4, step 4, step 5, refresh 6 2, step 6, step 7, ' +
        'evaluate 8, checkpoint 8, step 8',
    );
    expect(end).toBe(result);
    expect(result).toMatchObject({ reason: 'completed', step: 8, checkpoint: { step: 8 } });
  });

  test('new subspaces are told as new projections are', async () => {
    const method = galore({ rank: 8, refreshInterval: 3 });
    await using trainer = await Trainer.create(tinyRun(text, { method }));
    const heard: unknown[] = [];
    trainer.on('refresh', (refresh) => heard.push(refresh));
    await trainer.run();
    expect(heard).toEqual([
      { step: 1, subspaceEpoch: 0 },
      { step: 4, subspaceEpoch: 1 },
      { step: 7, subspaceEpoch: 2 },
    ]);
  });

  test('requestStop ends after the step and saves', async () => {
    const outputDirectory = newOutput();
    await using trainer = await Trainer.create(tinyRun(text, { outputDirectory }));
    trainer.on('step', ({ step }) => step === 3 && trainer.requestStop());
    expect(await trainer.run()).toMatchObject({ reason: 'stopped', step: 3, checkpoint: { step: 3 } });
    expect(existsSync(join(outputDirectory, 'checkpoint-3', 'model.safetensors'))).toBe(true);
  });

  test('after a requested stop iterating goes on, with the steps of a run that was never stopped', async () => {
    await using trainer = await Trainer.create(tinyRun(text));
    const losses: number[] = [];
    trainer.on('step', ({ step, loss }) => {
      losses.push(loss);
      if (step === 3 || step === 5) trainer.requestStop();
    });
    expect(await trainer.run()).toMatchObject({ reason: 'stopped', step: 3 });
    for await (const { step } of trainer) expect(step).toBeLessThanOrEqual(5);
    expect(trainer.step).toBe(5);
    // Before an iteration a request ends the next one, and that alone.
    trainer.requestStop();
    expect(await trainer.run()).toMatchObject({ reason: 'stopped', step: 5 });
    expect(await trainer.run()).toMatchObject({ reason: 'completed', step: 8 });
    expect(losses).toEqual(await lossesOf({}));
  });

  test('iterations at the same time share the steps, and a requested stop ends all of them', async () => {
    const outputDirectory = newOutput();
    await using trainer = await Trainer.create(tinyRun(text, { maxSteps: 6, outputDirectory }));
    const steps: number[] = [];
    trainer.on('step', ({ step }) => steps.push(step));
    trainer.once('step', () => trainer.requestStop());
    const stopped = await Promise.all([trainer.run(), trainer.run()]);
    expect(stopped.map(({ reason }) => reason)).toEqual(['stopped', 'stopped']);
    const results = await Promise.all([trainer.run(), reportsOf(trainer), trainer.run()]);
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
    expect(results[0]).toMatchObject({ reason: 'completed', step: 6, checkpoint: { step: 6 } });
    expect(trainer.step).toBe(6);
  });

  test.each([1, 3])(
    'an abort ends within one of %i micro-batches and leaves the state of the last step',
    async (n) => {
      const controller = new AbortController();
      const change = {
        gradientAccumulationSteps: n,
        signal: controller.signal,
        outputDirectory: newOutput(),
      };
      await using trainer = await Trainer.create(tinyRun(text, change));
      trainer.on('step', ({ step }) => step === 4 && controller.abort());
      await expect(trainer.run()).rejects.toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
      expect(trainer.step).toBe(4);
      expect(await trainer.save()).toMatchObject({ step: 4 });
    },
  );

  test('after close everything is refused, and closing twice is fine', async () => {
    const trainer = await Trainer.create(tinyRun(text));
    const pending = trainer.evaluate();
    await Promise.all([trainer.close(), trainer.close()]);
    await expect(pending).resolves.toMatchObject({ step: 0 });
    for (const call of [
      () => trainer.evaluate(),
      () => trainer.run(),
      () => trainer.save(),
      () => trainer.sample(),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'ERR_COMPACT_DISPOSED' });
  });
});

describe('output folders', () => {
  test('the newest checkpoints stay, and the best', async () => {
    const outputDirectory = newOutput();
    // A learning rate that ruins the model: the first evaluation is the best.
    const change = {
      outputDirectory,
      saveSteps: 2,
      evalSteps: 2,
      saveTotalLimit: 2,
      maxSteps: 10,
      learningRate: 3,
    };
    await using trainer = await Trainer.create(tinyRun(text, change));
    const evaluations = (await reportsOf(trainer)).flatMap(({ evaluation }) => evaluation ?? []);
    const best = evaluations.reduce((a, b) => (b.loss < a.loss ? b : a));
    const expected = new Set([best.step, 8, 10]);
    const names = (await readdir(outputDirectory)).filter((name) => name.startsWith('checkpoint-'));
    expect(new Set(names)).toEqual(new Set([...expected].map((step) => `checkpoint-${step}`)));
    const state = JSON.parse(
      await readFile(join(outputDirectory, 'checkpoint-10', 'trainer.json'), 'utf8'),
    ) as {
      best: unknown;
    };
    expect(state.best).toEqual({ step: best.step, metric: 'loss', value: best.loss });
  });

  test('metrics.jsonl is one history across a stop and a resume', async () => {
    const outputDirectory = newOutput();
    const options = tinyRun(text, {
      outputDirectory,
      loggingSteps: 2,
      evalSteps: 4,
      resumeFromCheckpoint: 'auto',
    });
    for (const stop of [5, 8]) {
      await using trainer = await Trainer.create(options);
      trainer.on('step', ({ step }) => step === stop && trainer.requestStop());
      await trainer.run();
    }
    const lines = (await readFile(join(outputDirectory, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
    const metrics = lines.map((line) => JSON.parse(line) as Record<string, number>);
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 4, 4, 6, 8, 8]);
    expect(metrics.filter(({ evalLoss }) => evalLoss !== undefined).map(({ step }) => step)).toEqual([4, 8]);
    expect(Object.keys(metrics[0]!)).toEqual(
      expect.arrayContaining([
        'loss',
        'learningRate',
        'epoch',
        'numTokensSeen',
        'tokensPerSecond',
        'allocatedBytes',
      ]),
    );
  });

  test('event files of TensorBoard hold the same metrics, one file for each start', async () => {
    const loggingDirectory = join(newOutput(), 'events');
    const options = tinyRun(text, {
      outputDirectory: newOutput(),
      loggingDirectory,
      evalSteps: 4,
      resumeFromCheckpoint: 'auto',
    });
    for (const stop of [5, 8]) {
      await using trainer = await Trainer.create(options);
      trainer.on('step', ({ step }) => step === stop && trainer.requestStop());
      await trainer.run();
    }
    const files = (await readdir(loggingDirectory)).toSorted();
    expect(files).toHaveLength(2);
    const [first, second] = await Promise.all(files.map((name) => readFile(join(loggingDirectory, name))));
    for (const tag of [
      'train/loss',
      'train/learning_rate',
      'train/num_tokens_seen',
      'eval/loss',
      'eval/perplexity',
    ])
      for (const events of [first!, second!]) expect(events.includes(tag)).toBe(true);
    // The second one begins by declaring what the first says of step 6 and later lost.
    const start = sessionStartRecord(0, 6);
    const step = Buffer.from(start.subarray(12 + 9, start.length - 4));
    expect(first!.includes(step)).toBe(false);
    expect(second!.includes(step)).toBe(true);
  });

  test('two runs on one folder: the second is refused, also from another process', async () => {
    const outputDirectory = newOutput();
    const first = await Trainer.create(tinyRun(text, { outputDirectory }));
    await expect(Trainer.create(tinyRun(text, { outputDirectory }))).rejects.toMatchObject({
      code: 'ERR_COMPACT_OUTPUT_LOCKED',
    });
    await first.run();
    await first.close();
    const again = { outputDirectory, resumeFromCheckpoint: 'latest' };
    await (await Trainer.create(tinyRun(text, again))).close();
  });

  test('a new run does not write over the checkpoints of another', async () => {
    const outputDirectory = newOutput();
    {
      await using trainer = await Trainer.create(tinyRun(text, { outputDirectory, saveSteps: 4 }));
      await trainer.run();
    }
    const before = await readdir(outputDirectory);
    for (const resumeFromCheckpoint of [undefined, join(outputDirectory, 'checkpoint-4')])
      await expect(
        Trainer.create(tinyRun(text, { outputDirectory, resumeFromCheckpoint })),
      ).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'outputDirectory' });
    expect(await readdir(outputDirectory)).toEqual(before);
  });

  test('half a checkpoint is no checkpoint, but never written over', async () => {
    const outputDirectory = newOutput();
    const half = join(outputDirectory, 'checkpoint-4');
    await mkdir(half, { recursive: true });
    await writeFile(join(half, 'model.safetensors'), 'mine');
    await expect(
      Trainer.create(tinyRun(text, { outputDirectory, resumeFromCheckpoint: 'auto' })),
    ).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      received: expect.stringContaining(half),
      remedy: expect.stringMatching(/move it away/i),
    });
    expect(await readdir(outputDirectory)).toEqual(['checkpoint-4']);
    expect(await readFile(join(half, 'model.safetensors'), 'utf8')).toBe('mine');
  });

  test('an abort ends a start wherever it is, and nothing stays behind', async () => {
    const outputDirectory = join(newOutput(), 'deep', 'run');
    await mkdir(join(outputDirectory, '..', '..'));
    /** A signal that is given when it has been looked at so many times. */
    const signalAt = (look: number): AbortSignal => {
      let looks = 0;
      const { signal } = new AbortController();
      return Object.defineProperty(signal, 'aborted', { get: () => looks++ >= look });
    };
    for (const resumeFromCheckpoint of [undefined, 'latest']) {
      const before = namesBelow(join(outputDirectory, '..', '..'));
      let look = 0;
      // It is looked at before each tensor that is loaded: those looks are alike.
      for (; ; look += look < 12 ? 1 : 9) {
        const options = tinyRun(text, { outputDirectory, resumeFromCheckpoint, signal: signalAt(look) });
        const trainer = await Trainer.create(options).catch((error: unknown) => error as CompactError);
        if (trainer instanceof Trainer) {
          await trainer.close();
          break;
        }
        expect(trainer).toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
        expect(namesBelow(join(outputDirectory, '..', '..'))).toEqual(before);
      }
      expect(look).toBeGreaterThan(7);
      await rm(outputDirectory, { recursive: true });
      await using trainer = await Trainer.create(tinyRun(text, { outputDirectory, maxSteps: 1 }));
      await trainer.run();
    }
  });

  test('without an output folder nothing is written', async () => {
    const before = await readdir(process.cwd());
    await using trainer = await Trainer.create(tinyRun(text));
    expect((await trainer.run()).checkpoint).toBeUndefined();
    await expect(trainer.save()).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE' });
    expect(await readdir(process.cwd())).toEqual(before);
  });

  test('a sampler writes from a checkpoint what the trainer would', async () => {
    const outputDirectory = newOutput();
    await using trainer = await Trainer.create(tinyRun(text, { outputDirectory, dtype: 'bf16' }));
    await trainer.run();
    const options = { prompt: 'two ', maxNewTokens: 20, temperature: 0.8, topK: 20, seed: 3 };
    const { text: expected } = await trainer.sample(options);
    await using sampler = await Sampler.open({ checkpoint: outputDirectory, threads: 1 });
    expect(sampler.step).toBe(8);
    expect((await sampler.sample(options)).text).toBe(expected);
    expect((await sampler.sample({ ...options, seed: 4 })).text).not.toBe(expected);
  });
});

describe('what goes wrong beside the run', () => {
  test('a checkpoint that cannot be removed and a log that cannot be written are warnings; the run goes on', async () => {
    const outputDirectory = newOutput();
    const change = { outputDirectory, saveSteps: 2, saveTotalLimit: 1, loggingSteps: 1 };
    await using trainer = await Trainer.create(tinyRun(text, change));
    const log = join(outputDirectory, 'metrics.jsonl');
    const warnings: string[] = [];
    trainer.on('warning', (problem) => warnings.push((problem as CompactError).message));
    const { rename } = promises;
    const failing = jest.spyOn(promises, 'rename').mockImplementation(async (from, to) => {
      if (String(from).endsWith('checkpoint-2'))
        throw Object.assign(new Error('EIO: io error'), { code: 'EIO' });
      return rename(from, to);
    });
    try {
      trainer.on('step', ({ step }) => {
        if (step === 2) {
          renameSync(log, `${log}.away`);
          mkdirSync(log);
        }
        if (step === 3) {
          rmdirSync(log);
          renameSync(`${log}.away`, log);
        }
      });
      expect(await trainer.run()).toMatchObject({ reason: 'completed', checkpoint: { step: 8 } });
    } finally {
      failing.mockRestore();
    }
    expect(warnings.filter((message) => message.includes(log))).toHaveLength(1);
    expect(warnings.filter((message) => message.includes('checkpoint-2'))).toHaveLength(3);
    expect(warnings).toHaveLength(4);
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as StepReport).step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await readdir(outputDirectory)).filter((name) => name.startsWith('checkpoint-'))).toEqual([
      'checkpoint-2',
      'checkpoint-8',
    ]);
  });
});

test('a listener that throws costs neither report nor checkpoint; its error is an uncaught exception of the process', async () => {
  const outputDirectory = newOutput();
  const setUp = `
    process.on('uncaughtException', ({ message }) => say({ uncaught: message }));
    started = (trainer) => {
      trainer.on('step', ({ step }) => { if (step > 1) throw new Error('step ' + step); });
      for (const event of ['evaluate', 'end', 'refresh'])
        trainer.on(event, ({ step }) => { throw new Error(event + ' ' + step); });
      trainer.on('step', ({ step, checkpoint }) => say({ heard: [step, checkpoint?.step] }));
      const run = trainer.run.bind(trainer);
      trainer.run = async () => {
        const steps = [];
        for await (const { step } of trainer) steps.push(step);
        return { steps, result: await run() };
      };
    };`;
  const run = {
    ...tinyRun(text, { maxSteps: 3, evalSteps: 3, saveSteps: 2, outputDirectory }),
    model: tinyConfig,
  };
  const child = startTrainerChild({ ...run, method: tinyMethod }, { setUp });
  expect(await child.next('result')).toMatchObject({
    steps: [1, 2, 3],
    result: { reason: 'completed', step: 3 },
  });
  expect(await child.ended).toEqual({ exitCode: 0, stderr: '' });
  const all = (key: string): unknown[] => child.lines.flatMap((line) => (key in line ? [line[key]] : []));
  expect(all('heard')).toEqual([
    [1, null],
    [2, 2],
    [3, null],
  ]);
  expect(all('uncaught')).toEqual(['step 2', 'refresh 3', 'evaluate 3', 'step 3', 'end 3', 'end 3']);
});

test('a checkpoint brings its tokenizer along', async () => {
  const letters = 'abcdefghijklmnopqrstuvwxyz \n'.split('');
  const vocab = Object.fromEntries([...letters, 'on', 'one'].map((token, id) => [token, id]));
  const tokenizer = join(folder, 'tokenizer.json');
  const bpe = { type: 'BPE', vocab, merges: ['o n', 'on e'], unk_token: null };
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' } };
  await writeFile(tokenizer, JSON.stringify({ version: '1.0', added_tokens: [], ...parts, model: bpe }));
  const outputDirectory = newOutput();
  const options = { prompt: 'one ', maxNewTokens: 8 };
  let expected: string;
  {
    await using trainer = await Trainer.create(
      tinyRun(text, { data: { train: text, tokenizer }, outputDirectory }),
    );
    await trainer.run();
    expected = (await trainer.sample(options)).text;
  }
  await rm(tokenizer);
  await using sampler = await Sampler.open({ checkpoint: join(outputDirectory, 'checkpoint-8') });
  expect((await sampler.sample(options)).text).toBe(expected);
});

describe('bad input is refused before work starts, and nothing is written', () => {
  const binary = join(folder, 'binary.txt');
  const short = join(folder, 'short.txt');
  beforeAll(async () => {
    await writeFile(binary, Buffer.from([65, 66, 0, 67]));
    await writeFile(short, 'short');
  });

  test.each<[string, Partial<TrainerOptions>, string]>([
    ['batch of zero', { batchSize: 0 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['sequence of zero', { sequenceLength: 0 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['no steps', { maxSteps: 0 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['half a micro-batch', { gradientAccumulationSteps: 0.5 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a learning rate below zero', { learningRate: -1 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['an unknown schedule', { lrSchedulerType: 'cosin' as 'cosine' }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['two warm-ups', { warmupSteps: 1, warmupRatio: 0.5 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['an unknown dtype', { dtype: 'f16' as 'f32' }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a sequence beyond the model', { sequenceLength: 4096 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a rank over the width', { method: compact({ rank: 33 }) }, 'ERR_COMPACT_RANK'],
    ['no corpus', { data: { train: join(folder, 'none.txt') } }, 'ERR_COMPACT_DATA_READ'],
    ['a binary corpus', { data: { train: binary } }, 'ERR_COMPACT_DATA_BINARY'],
    ['too little text', { data: { train: short } }, 'ERR_COMPACT_DATA_TOO_SHORT'],
    [
      'evaluation without held-out text',
      { data: { train: text, validationFraction: 0 }, evalSteps: 1 },
      'ERR_COMPACT_CONFIG_VALUE',
    ],
    [
      'a vocabulary that is too small',
      {
        model: llama({
          vocabSize: 256,
          hiddenSize: 16,
          intermediateSize: 16,
          numHiddenLayers: 1,
          numAttentionHeads: 1,
        }),
      },
      'ERR_COMPACT_TOKENIZER',
    ],
    ['a device that is not there', { device: 'cuda:7' }, 'ERR_COMPACT_DEVICE_UNAVAILABLE'],
    ['nothing to resume from', { resumeFromCheckpoint: 'latest' }, 'ERR_COMPACT_CHECKPOINT_MISSING'],
    ['a folder that is no checkpoint', { resumeFromCheckpoint: folder }, 'ERR_COMPACT_CHECKPOINT_MISSING'],
  ])('%s', async (_, change, code) => {
    const outputDirectory = newOutput();
    await expect(async () =>
      Trainer.create(tinyRun(text, { outputDirectory, ...change })),
    ).rejects.toMatchObject({
      code,
    });
    // At most the tokenised text stays, which a start with that text finds again.
    const written = existsSync(outputDirectory)
      ? await readdir(outputDirectory, { recursive: true })
      : ['data'];
    expect(written.filter((name) => !name.endsWith('.tokens'))).toEqual(['data']);
    // A folder that was there stays as it was.
    await mkdir(outputDirectory, { recursive: true });
    await expect(async () =>
      Trainer.create(tinyRun(text, { outputDirectory, ...change })),
    ).rejects.toMatchObject({
      code,
    });
    expect((await readdir(outputDirectory)).filter((name) => name !== 'data')).toEqual([]);
  });

  test('a plan that does not fit: three remedies with their bytes, and following one helps', async () => {
    const outputDirectory = newOutput();
    const memoryLimitBytes = 2_000_000;
    const options = tinyRun(text, { outputDirectory, batchSize: 64, method: dense(), memoryLimitBytes });
    const error = await Trainer.create(options).then(
      () => undefined,
      (reason: unknown) => reason as CompactError,
    );
    expect(error?.code).toBe('ERR_COMPACT_DOES_NOT_FIT');
    expect(existsSync(outputDirectory)).toBe(false);
    const { remedies, peakBytes } = error!.details as { remedies: readonly Remedy[]; peakBytes: number };
    expect(peakBytes).toBeGreaterThan(memoryLimitBytes);
    expect(remedies).toHaveLength(3);
    for (const remedy of remedies) expect(remedy.peakBytes).toBeLessThan(peakBytes);
    const smaller = remedies.find(({ change }) => 'batchSize' in change)!;
    expect(smaller.fits).toBe(true);
    await using trainer = await Trainer.create({ ...options, ...smaller.change });
    expect(trainer.memory().allocatedBytes).toBe(smaller.peakBytes);
  });
});
