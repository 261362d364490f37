/** Encoders that learn hidden tokens of running text: what they read, that they learn, and that runs go on. */
import { describe, expect, test } from '@jest/globals';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ignoreIndex, loadTokenizer, prepareData } from '../../lib/data/index.js';
import { dense, lora } from '../../lib/methods/index.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';
import { exportModel, loadModel, Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { expectExactResume } from '../helpers/exact-resume.js';
import { makeFolder } from '../helpers/tiny-run.js';

const { folder } = makeFolder();
const tokenizer = join(folder, 'tokenizer');
mkdirSync(tokenizer);
const { tokenizer: config } = JSON.parse(
  readFileSync(join(__dirname, '../fixtures/tokenizers/bert-uncased.json'), 'utf8'),
) as { tokenizer: object };
const control = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const textOf = (id: string) => ({ Sequence: { id, type_id: 0 } });
const postProcessor = {
  type: 'TemplateProcessing',
  single: [control('[CLS]'), textOf('A'), control('[SEP]')],
  pair: [control('[CLS]'), textOf('A'), textOf('B'), control('[SEP]')],
  special_tokens: Object.fromEntries(
    ['[CLS]', '[SEP]'].map((id, i) => [id, { id, ids: [2 + i], tokens: [id] }]),
  ),
};
writeFileSync(
  join(tokenizer, 'tokenizer.json'),
  JSON.stringify({ ...config, post_processor: postProcessor }),
);
writeFileSync(
  join(tokenizer, 'tokenizer_config.json'),
  JSON.stringify({ mask_token: '[MASK]', cls_token: '[CLS]' }),
);
const text = join(folder, 'text.txt');
writeFileSync(text, 'the same words come again and again, in one order. '.repeat(120));

const sequenceLength = 20;
const vocabularySize = 512;
const model = modelFromPretrainedConfig(
  {
    ...{ model_type: 'roberta', architectures: ['RobertaForMaskedLM'], hidden_act: 'gelu', pad_token_id: 0 },
    ...{ vocab_size: vocabularySize, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 },
    ...{ num_attention_heads: 2, max_position_embeddings: 32, type_vocab_size: 1 },
  },
  { initializerRange: 0.2 },
);

const open = async (seed = 3) => {
  const reading = { sequenceLength, vocabularySize, seed };
  const prepared = await prepareData({ train: text, tokenizer }, reading, model.batchFields);
  return prepared.open();
};

describe('what a model of hidden tokens reads', () => {
  test('15 % of each sequence are to be predicted, most of them behind the mask token', async () => {
    const { maskTokenId } = await loadTokenizer(tokenizer);
    await using data = await open();
    const count = 8;
    const { inputs, numCountedTokens } = await data.trainBatch(0, count);
    expect(Object.keys(inputs)).toEqual(['tokens', 'attentionMask', 'targets']);
    expect([numCountedTokens, data.numCountedTokens(0, count)]).toEqual([3 * count, 3 * count]);
    const { tokens, targets } = inputs;
    for (let row = 0; row < count; row++) {
      const own = [...targets!.subarray(row * sequenceLength, (row + 1) * sequenceLength)];
      const predicted = own.flatMap((target, i) =>
        target === ignoreIndex ? [] : [row * sequenceLength + i],
      );
      expect(predicted).toHaveLength(3);
      expect(predicted.filter((at) => tokens![at] === maskTokenId)).toHaveLength(2);
    }
    expect([...inputs['attentionMask']!]).toEqual(Array(count * sequenceLength).fill(1));
  });

  test('other tokens are hidden in another epoch and for another seed, and the same ones when it is read again', async () => {
    await using data = await open();
    await using other = await open(4);
    const targetsOf = async (from: typeof data, first: number) => [
      ...(await from.trainBatch(first, data.numTrainSequences)).inputs['targets']!,
    ];
    const once = await targetsOf(data, 0);
    expect(await targetsOf(data, 0)).toEqual(once);
    expect(await targetsOf(data, data.numTrainSequences)).not.toEqual(once);
    const heldOut = async (from: typeof data) => (await from.validationBatch(0, 2)).inputs;
    expect(await heldOut(other)).toEqual(await heldOut(data));
  });
});

const run: TrainerOptions = {
  ...{ model, method: dense({ weightDecay: 0 }), data: { train: text, tokenizer } },
  ...{ batchSize: 8, sequenceLength, maxSteps: 40, learningRate: 0.01, threads: 1, device: 'cpu' },
};

test('hidden tokens are learnt', async () => {
  await using trainer = await Trainer.create(run);
  const losses: number[] = [];
  for await (const { loss } of trainer) losses.push(loss);
  expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
});

test('a run goes on where it was', async () => {
  let numFolders = 0;
  const short = { ...run, maxSteps: 6, gradientAccumulationSteps: 2 };
  await expectExactResume(short, () => join(folder, `run-${numFolders++}`), [2, 5]);
});

test('what has learnt hidden tokens starts a model for classes, and the new head is told', async () => {
  await using first = await Trainer.create({ ...run, maxSteps: 2, outputDirectory: join(folder, 'hidden') });
  const { checkpoint } = await first.run();
  const exported = join(folder, 'exported');
  await exportModel({ checkpoint: checkpoint!.path, folder: exported });
  // Heads of other programs read the start token, too.
  const { post_processor } = JSON.parse(readFileSync(join(exported, 'tokenizer.json'), 'utf8')) as {
    post_processor: unknown;
  };
  expect(post_processor).toEqual(postProcessor);
  expect((await loadTokenizer(exported)).addsBos).toBe(true);
  const records = join(folder, 'records.jsonl');
  const rows = ['the same words', 'one order'].map((text, label) => JSON.stringify({ text, label }));
  writeFileSync(records, rows.join('\n'));
  const options: TrainerOptions = {
    ...run,
    model: loadModel(exported, { task: 'sequence-classification', numLabels: 2 }),
    baseModel: exported,
    data: { records, tokenizer, validationFraction: 0 },
    ...{ batchSize: 2, maxSteps: 1 },
  };
  // Adapters beside frozen weights would leave it as it is drawn.
  await expect(Trainer.create({ ...options, method: lora({ r: 2 }) })).rejects.toMatchObject({
    code: 'ERR_COMPACT_CONFIG_VALUE',
    op: 'method',
    received: 'lora',
  });
  await using trainer = await Trainer.create(options);
  expect(trainer.data.warnings).toContainEqual(
    `The head is new, as ${exported} does not have it: classifier.dense.weight and 3 more start from random numbers or constants.`,
  );
  expect((await trainer.run()).step).toBe(1);
});

test('a tokenizer without a mask token is refused', async () => {
  const without = join(folder, 'without');
  cpSync(tokenizer, without, { recursive: true });
  writeFileSync(join(without, 'tokenizer_config.json'), '{}');
  await expect(Trainer.create({ ...run, data: { train: text, tokenizer: without } })).rejects.toMatchObject({
    code: 'ERR_COMPACT_TOKENIZER',
    op: 'tokenizer',
  });
});
