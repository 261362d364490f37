/** Fine-tuning from a folder of records to a folder of a model, and what is measured of either. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dense, lora, qlora, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import {
  evaluateModel,
  exportModel,
  fineTune,
  fineTuneOptions,
  Trainer,
  type FineTuneOptions,
} from '../../lib/train/index.js';
import { trainedParts } from '../../lib/train/trained-parts.js';
import { chatFiles } from '../helpers/chat-fixtures.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const base = join(folder, 'base');
const pairs = Array.from({ length: 40 }, (_, i) => ({ prompt: `${i}+1=`, completion: `${i + 1}` }));
const records = join(folder, 'pairs.jsonl');
const jsonl = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);

beforeAll(async () => {
  writeFileSync(records, jsonl(pairs));
  const outputDirectory = join(folder, 'first');
  await using trainer = await Trainer.create(
    tinyRun(text, { method: dense(), sequenceLength: 32, maxSteps: 30, outputDirectory }),
  );
  await trainer.run();
  await exportModel({ checkpoint: outputDirectory, folder: base });
});

const options = (change: Partial<FineTuneOptions> = {}): FineTuneOptions => ({
  ...{ model: base, data: records, outputDirectory: newOutput(), learningRate: 0.005, threads: 1 },
  ...change,
});

test('a model learns records, and stands in a folder that evaluates to the loss of the run', async () => {
  const before = await evaluateModel({ model: base, data: records, threads: 1 });
  expect(before.step).toBeUndefined();
  const heldOut = join(folder, 'held-out.jsonl');
  writeFileSync(heldOut, jsonl(pairs.slice(0, 8)));
  const told: number[] = [];
  const given = options({ data: { records, validation: heldOut }, numTrainEpochs: 4, method: dense() });
  const result = await fineTune(given, (trainer) => {
    trainer.on('evaluate', ({ step }) => told.push(step));
  });
  const after = await evaluateModel({ model: result.folder!, data: records, threads: 1 });
  expect(after.loss).toBeLessThan(0.8 * before.loss);
  expect(after.numTokens).toBe(before.numTokens);
  const measured = await evaluateModel({ model: result.folder!, data: heldOut, threads: 1 });
  expect(measured.loss).toBeCloseTo(result.evaluation!.loss, 5);
  expect(told).toHaveLength(4); // after each epoch
  expect(result.folder).toBe(join(given.outputDirectory, `model-${result.step}`));
  expect(readdirSync(result.folder!)).toEqual(expect.arrayContaining(['config.json', 'model.safetensors']));
});

test.each<[string, Method]>([
  ['lora', lora({ r: 4, targetModules: 'all-linear' })],
  ['qlora', qlora({ r: 4 })],
])('%s is exported as PEFT reads it, and merged into the weights that it started from', async (_, method) => {
  const { folder: merged, adapters, evaluation } = await fineTune(options({ method, maxSteps: 12 }));
  expect(readdirSync(adapters!)).toEqual(expect.arrayContaining(['adapter_config.json']));
  // The same from the adapters alone.
  const again = newOutput();
  await exportModel({ checkpoint: adapters!, baseModel: base, folder: again });
  const bytes = (made: string) => readFileSync(join(made, 'model.safetensors'));
  expect(bytes(merged!).equals(bytes(again))).toBe(true);
  expect(bytes(merged!).equals(bytes(base))).toBe(false);
  expect(evaluation).toBeDefined();
});

describe('what is left out', () => {
  test('follows from the model and the records', async () => {
    const chosen = await fineTuneOptions(options({ learningRate: undefined }));
    expect(chosen).toMatchObject({
      ...{ baseModel: base, dtype: 'f32', numTrainEpochs: 3, learningRate: 8e-5, sequenceLength: 64 },
      data: { records, tokenizer: base },
    });
    // A record has about seven tokens, so a sequence holds nine of the sixteen that a step learns from.
    expect(chosen).toMatchObject({ batchSize: 2, gradientAccumulationSteps: 1 });
    expect(chosen.method.describe()).toMatchObject({ name: 'compact' });
    const unpacked = await fineTuneOptions(options({ data: { records, packing: false } }));
    expect(unpacked).toMatchObject({ batchSize: 16, gradientAccumulationSteps: 1 });
    const rateOf = async (method: Method) =>
      (await fineTuneOptions(options({ method, learningRate: undefined }))).learningRate;
    expect([await rateOf(dense()), await rateOf(lora())]).toEqual([2e-5, 2e-4]);
  });

  test('is what was given where it was given', async () => {
    const given = { maxSteps: 2, batchSize: 3, sequenceLength: 128, warmupSteps: 1, evalSteps: 0 } as const;
    expect(await fineTuneOptions(options(given))).toMatchObject(given);
    expect(await fineTuneOptions(options(given))).not.toHaveProperty('numTrainEpochs');
  });
});

test('a run ends after its epochs, and evaluates after shares of it', async () => {
  const data = { records, validationFraction: 0.2, packing: false };
  const run = { ...tinyRun(text, { data }), model: llama(tinyConfig), maxSteps: undefined };
  await using trainer = await Trainer.create({ ...run, batchSize: 8, numTrainEpochs: 2.5, evalSteps: 0.5 });
  const steps: number[] = [];
  for await (const { step, maxSteps, evaluation } of trainer) {
    expect(maxSteps).toBe(10); // 32 records a pass
    if (evaluation !== undefined) steps.push(step);
  }
  expect(steps).toEqual([5, 10]);
  for (const lengths of [{ maxSteps: 3, numTrainEpochs: 1 }, {}])
    await expect(Trainer.create({ ...run, ...lengths })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
    });
});

test.each<[string, Method, object[]]>([
  [
    'compact',
    dense(),
    [{ part: 'query', numTensors: 2, numParameters: 2048, isTrained: true, numGradients: 2048 }],
  ],
  [
    'lora',
    lora({ r: 4 }),
    [
      { part: 'query', isTrained: false, numGradients: 0 },
      { part: 'adapter of query', numTensors: 4, numParameters: 512, numGradients: 512 },
      { part: 'embedding', isTrained: false },
    ],
  ],
  ['qlora', qlora({ r: 4 }), [{ part: 'query', storedAs: 'nf4', numParameters: 2048, isTrained: false }]],
])('parts that %s trains', (_, method, expected) => {
  const parts = trainedParts({ model: llama(tinyConfig), method, dtype: 'f32', gradientDtype: 'f32' });
  expect(parts).toEqual(expect.arrayContaining(expected.map((part) => expect.objectContaining(part))));
  const trained = parts.filter(({ part }) => !part.startsWith('adapter'));
  const numbers = trained.reduce((sum, { numParameters }) => sum + numParameters, 0);
  expect(numbers).toBe(llama(tinyConfig).numParameters);
});

describe('a model with a chat template', () => {
  const chats = join(folder, 'chats.jsonl');
  const chatBase = join(folder, 'chat');
  const conversation = (i: number) => ({
    messages: [
      { role: 'user', content: `what is ${i}?` },
      { role: 'assistant', content: `it is ${i}` },
    ],
  });

  beforeAll(async () => {
    writeFileSync(chats, jsonl(Array.from({ length: 20 }, (_, i) => conversation(i))));
    cpSync(base, chatBase, { recursive: true });
    const files = chatFiles('chatml');
    const tokenizer = JSON.parse(files['tokenizer.json']!) as { model: { vocab: object } };
    const vocabSize = Object.keys(tokenizer.model.vocab).length + 64;
    const outputDirectory = join(folder, 'chat-first');
    await using trainer = await Trainer.create(
      tinyRun(text, {
        method: dense(),
        model: llama({ ...tinyConfig, vocabSize }),
        outputDirectory,
        maxSteps: 1,
      }),
    );
    await trainer.run();
    rmSync(chatBase, { recursive: true });
    await exportModel({ checkpoint: outputDirectory, folder: chatBase });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(chatBase, name), content);
  });

  test('keeps it with its tokenizer, in checkpoints and in the folder of the model', async () => {
    const result = await fineTune(options({ model: chatBase, data: chats, maxSteps: 3 }));
    for (const made of [result.checkpoint!.path, result.folder!])
      for (const name of Object.keys(chatFiles('chatml')))
        expect([name, readFileSync(join(made, name), 'utf8')]).toEqual([
          name,
          readFileSync(join(chatBase, name), 'utf8'),
        ]);
    const [checkpoint, model] = await Promise.all(
      [result.checkpoint!.path, result.folder!].map((made) =>
        evaluateModel({ model: made, data: chats, threads: 1 }),
      ),
    );
    expect(checkpoint!.loss).toBe(model!.loss);
  });
});

describe('evaluation', () => {
  test('of texts is of running text, unless they are to be records', async () => {
    const texts = join(folder, 'texts.jsonl');
    writeFileSync(texts, jsonl(pairs.map(({ prompt }) => ({ text: `${prompt} and so on` }))));
    const running = await evaluateModel({ model: base, data: texts, sequenceLength: 16, threads: 1 });
    expect(running.numTokens % 16).toBe(0);
    const alone = await evaluateModel({ model: base, data: { records: texts }, threads: 1 });
    // The first token of a record is predicted by nothing, its end of text is.
    const numBytes = pairs.reduce((sum, { prompt }) => sum + prompt.length + ' and so on'.length, 0);
    expect(alone.numTokens).toBe(numBytes);
  });
});

test.each<[string, () => Partial<FineTuneOptions>, object]>([
  [
    'a folder that lacks a shard',
    () => {
      const broken = join(folder, 'broken');
      cpSync(base, broken, { recursive: true });
      rmSync(join(broken, 'model.safetensors'));
      const weight_map = { 'model.norm.weight': 'model-00001-of-00002.safetensors' };
      writeFileSync(
        join(broken, 'model.safetensors.index.json'),
        JSON.stringify({ metadata: {}, weight_map }),
      );
      return { model: broken };
    },
    { code: expect.stringMatching(/^ERR_COMPACT_CHECKPOINT_/) },
  ],
  [
    'a tokenizer of another vocabulary',
    () => {
      const tokenizer = join(folder, 'other-tokenizer');
      cpSync(base, tokenizer, { recursive: true });
      for (const [name, content] of Object.entries(chatFiles('llama3')))
        writeFileSync(join(tokenizer, name), content);
      return { data: { records, tokenizer } };
    },
    { code: 'ERR_COMPACT_TOKENIZER' },
  ],
  ['an unknown key', () => ({ epochs: 3 }) as object, { code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' }],
  [
    'longer sequences than the model has',
    () => ({ sequenceLength: 1e6 }),
    { code: 'ERR_COMPACT_CONFIG_VALUE' },
  ],
  ['no model', () => ({ model: join(folder, 'none') }), { code: 'ERR_COMPACT_MODEL_UNKNOWN' }],
])('%s is refused, and nothing is left behind', async (_, change, error) => {
  const given = options(change());
  await expect(fineTune(given)).rejects.toMatchObject(error);
  expect(existsSync(given.outputDirectory)).toBe(false);
});
