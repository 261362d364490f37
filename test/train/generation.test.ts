import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compile, memoryReport } from '../../lib/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { evaluateModel, Sampler, Trainer, type SampleReport } from '../../lib/train/index.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const outputDirectory = join(folder, 'run');
const pretrained = join(__dirname, '../fixtures/pretrained/f32');
const prompts = ['one ', 'three four five six seven ', 'n'];
const greedy = { temperature: 0, maxNewTokens: 12 } as const;

beforeAll(async () => {
  await using trainer = await Trainer.create(tinyRun(text, { outputDirectory, sequenceLength: 48 }));
  await trainer.run();
});

async function streamed(sampler: Sampler, options: Parameters<Sampler['stream']>[0]) {
  const pieces: string[] = [];
  const stream = sampler.stream(options);
  for (;;) {
    const { done, value } = await stream.next();
    if (done === true) return { pieces, report: value };
    pieces.push(value);
  }
}

const withoutRate = (report: SampleReport) => ({ ...report, tokensPerSecond: undefined });

describe('a sampler', () => {
  let sampler: Sampler;
  beforeAll(async () => {
    sampler = await Sampler.open({ checkpoint: outputDirectory, batchSize: 2, threads: 1 });
  });
  afterAll(() => sampler.close());

  test('streams the text that it writes whole', async () => {
    const options = { prompt: 'one two ', temperature: 0.9, seed: 5, maxNewTokens: 30 };
    const { pieces, report } = await streamed(sampler, options);
    const whole = await sampler.sample(options);
    expect(withoutRate(report)).toEqual(withoutRate(whole));
    expect(pieces.join('')).toBe(whole.text);
    expect(pieces.length).toBeGreaterThan(1);
  });

  test('writes several prompts as each alone', async () => {
    const alone = [];
    for (const prompt of prompts) alone.push(withoutRate(await sampler.sample({ ...greedy, prompt })));
    const together = await sampler.sampleBatch(prompts, greedy);
    expect(together.map(withoutRate)).toEqual(alone);
  });

  test('ends before a stop string', async () => {
    const { text: whole } = await sampler.sample({ ...greedy, prompt: 'one ' });
    const stop = whole.slice(3, 5);
    const report = await sampler.sample({ ...greedy, prompt: 'one ', stop: [stop] });
    expect(report).toMatchObject({ text: whole.slice(0, whole.indexOf(stop)), finishReason: 'stop' });
  });

  test('tells that the context is full', async () => {
    expect(sampler.contextLength).toBe(48);
    const prompt = 'x'.repeat(45);
    expect(await sampler.sample({ ...greedy, prompt })).toMatchObject({
      numTokens: 3,
      finishReason: 'contextLength',
    });
    expect(sampler.countPromptTokens({ prompt: 'x'.repeat(50) })).toBe(50);
    await expect(sampler.sample({ prompt: 'x'.repeat(49) })).rejects.toMatchObject({
      code: 'ERR_COMPACT_ARGUMENT',
      expected: 'at most 48 tokens',
    });
  });

  test('writes one text after the other, also where a stream was left', async () => {
    const options = { ...greedy, prompt: 'two ' };
    const { text: right } = await sampler.sample(options);
    for await (const _ of sampler.stream({ ...options, prompt: 'nine ' })) break;
    const both = await Promise.all([sampler.sample(options), streamed(sampler, options)]);
    expect(both.map((one) => ('report' in one ? one.report.text : one.text))).toEqual([right, right]);
  });

  test('its cache is planned to the byte: keys and values of every position, layer and sequence', () => {
    const { byKind, peak, peakBytes } = memoryReport(sampler.plan);
    const kvWidth = tinyConfig.hiddenSize / tinyConfig.numAttentionHeads;
    expect(byKind.keyValueCache).toBe(2 * 48 * 2 * kvWidth * tinyConfig.numHiddenLayers * 4);
    expect(peak!.entry).toMatch(/prefill|generate/);
    expect(peakBytes).toBe(sampler.plan.peakBytes);
  });
});

test('a trainer that also samples needs no more memory', () => {
  const options = {
    ...{ model: llama(tinyConfig), method: dense(), target: cpuTarget({ threads: 1 }) },
    ...{ batchSize: 2, sequenceLength: 64, dtype: 'f32' as const },
  };
  const training = compile({ ...options, entries: ['train'] });
  const both = compile({ ...options, entries: ['train', 'generate'] });
  expect(both.peakBytes).toBe(training.peakBytes);
});

describe("a folder in Hugging Face's layout", () => {
  test('is sampled and evaluated, with a tokenizer that it has or is given', async () => {
    const options = { checkpoint: pretrained, tokenizer: 'bytes', threads: 1 };
    await using sampler = await Sampler.open(options);
    expect(sampler).toMatchObject({ step: undefined, contextLength: 32 });
    const { text: written, numTokens } = await sampler.sample({ ...greedy, prompt: 'ab' });
    expect(numTokens).toBeGreaterThan(0);
    await using batched = await Sampler.open({ ...options, batchSize: 6, contextLength: 20 });
    const reports = await batched.sampleBatch(['ab', 'c', 'ab', 'd', 'e', 'f'], greedy);
    expect(reports.map((report) => report.text).filter((one) => one === written)).toHaveLength(2);
    const { loss } = await evaluateModel({
      model: options.checkpoint,
      data: { train: text, tokenizer: options.tokenizer },
      sequenceLength: 16,
      evalSequences: 2,
    });
    expect(loss).toBeGreaterThan(0);
    expect(loss).toBeLessThan(20);
  });

  test('ends a text where generation_config.json says', async () => {
    const copy = join(folder, 'other-ends');
    cpSync(pretrained, copy, { recursive: true });
    const options = { checkpoint: copy, tokenizer: 'bytes', threads: 1 };
    const sample = { ...greedy, prompt: 'ab' };
    let whole: string;
    {
      await using sampler = await Sampler.open(options);
      whole = (await sampler.sample(sample)).text;
    }
    const letter = /[A-Za-z]/.exec(whole)![0];
    const ends = { eos_token_id: [256, letter.charCodeAt(0)] };
    writeFileSync(join(copy, 'generation_config.json'), JSON.stringify(ends));
    {
      await using sampler = await Sampler.open(options);
      const text = whole.slice(0, whole.indexOf(letter));
      expect(await sampler.sample(sample)).toMatchObject({ text, finishReason: 'endOfText' });
    }
    writeFileSync(join(copy, 'generation_config.json'), '{"eos_token_id": "x"}');
    await expect(Sampler.open(options)).rejects.toMatchObject({ code: 'ERR_COMPACT_MODEL_READ' });
  });

  test.each<[string, object, string]>([
    ['a context beyond the model', { contextLength: 33 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['no tokenizer', { tokenizer: undefined }, 'ERR_COMPACT_TOKENIZER'],
    ['a batch of none', { batchSize: 0 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['less memory than it needs', { memoryLimitBytes: 1024 }, 'ERR_COMPACT_DOES_NOT_FIT'],
  ])('refuses %s', async (_, change, code) => {
    const opening = Sampler.open({ checkpoint: pretrained, tokenizer: 'bytes', threads: 1, ...change });
    await expect(opening).rejects.toMatchObject({ code });
  });

  test('says what would fit where memory does not suffice', async () => {
    const options = { checkpoint: pretrained, tokenizer: 'bytes', threads: 1, batchSize: 4 };
    await using sampler = await Sampler.open(options);
    const memoryLimitBytes = sampler.plan.peakBytes - 1;
    await expect(Sampler.open({ ...options, memoryLimitBytes })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DOES_NOT_FIT',
      details: {
        remedies: [
          { change: { batchSize: 1 }, fits: true },
          { change: { contextLength: 16 }, fits: true },
          { change: { batchSize: 1, contextLength: 16 }, fits: true },
        ],
      },
    });
  });

  test('refuses a folder without weights, and one that is none', async () => {
    const copy = join(folder, 'no-weights');
    cpSync(pretrained, copy, { recursive: true });
    rmSync(join(copy, 'model.safetensors.index.json'));
    const codeOf = (checkpoint: string) => Sampler.open({ checkpoint }).catch(({ code }) => code as string);
    expect(await codeOf(copy)).toBe('ERR_COMPACT_CHECKPOINT_MISSING');
    expect(await codeOf(join(folder, 'nowhere'))).toBe('ERR_COMPACT_CHECKPOINT_MISSING');
  });
});
