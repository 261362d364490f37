/** Checkpoints are opened by Hugging Face's transformers, which write what the trainer writes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '../../lib/data/index.js';
import { llama } from '../../lib/models/index.js';
import { pretrainedFiles } from '../../lib/train/weights/pretrained-files.js';
import { Trainer } from '../../lib/train/index.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const root = join(__dirname, '..', '..');

/** A folder of a tokenizer that adds a start of its own to every text, as published ones do. */
function sentencePiece(): string {
  const fixture = readFileSync(join(root, 'test/fixtures/tokenizers/sentencepiece-bpe.json'), 'utf8');
  const { tokenizer } = JSON.parse(fixture) as { tokenizer: object };
  const path = join(folder, 'tokenizer');
  mkdirSync(path, { recursive: true });
  const post_processor = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  };
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify({ ...tokenizer, post_processor }));
  const config = {
    tokenizer_class: 'LlamaTokenizerFast',
    add_bos_token: true,
    bos_token: '<s>',
    eos_token: '</s>',
  };
  writeFileSync(join(path, 'tokenizer_config.json'), JSON.stringify(config));
  return path;
}

const json = (file: string | undefined): unknown => JSON.parse(file!);

test('control tokens of the tokenizer stand in config.json; text without a prompt starts from the end of text', async () => {
  const files = pretrainedFiles(llama(tinyConfig), await loadTokenizer(sentencePiece()), 'bf16');
  expect(json(files['config.json'])).toMatchObject({ bos_token_id: 1, eos_token_id: 2, pad_token_id: null });
  expect(json(files['generation_config.json'])).toMatchObject({
    bos_token_id: 2,
    eos_token_id: 2,
    pad_token_id: 2,
  });
  const bytes = pretrainedFiles(llama(tinyConfig), await loadTokenizer(), 'f32');
  expect(json(bytes['config.json'])).toMatchObject({
    bos_token_id: null,
    eos_token_id: 256,
    pad_token_id: null,
  });
  expect(Object.keys(bytes)).toEqual([
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
});

const hasTransformers = spawnSync('python3', ['-c', 'import torch, transformers']).status === 0;
if (!hasTransformers) console.log('skipped: python3 with torch and transformers was not found');
const testWithTransformers = hasTransformers ? test : test.skip;

testWithTransformers(
  'transformers read the same model and the same tokenizer from a checkpoint',
  async () => {
    const prompt = 'one ab b';
    const requests: { folder: string; prompt: string; tokens: number }[] = [];
    const expected: object[] = [];
    for (const [name, tokenizer, special] of [
      ['bytes', undefined, { bos: null, eos: 256, pad: null }],
      ['sentencepiece', sentencePiece(), { bos: 1, eos: 2, pad: null }],
    ] as const) {
      await using trainer = await Trainer.create(
        tinyRun(text, {
          data: { train: text, tokenizer },
          model: llama({ ...tinyConfig, ropeTheta: 5000 }),
          sequenceLength: 32,
          maxSteps: 30,
          outputDirectory: join(folder, name),
        }),
      );
      const { checkpoint } = await trainer.run();
      const { eos } = special;
      const report = await trainer.sample({ prompt, temperature: 0, maxNewTokens: 12 });
      requests.push({ folder: checkpoint!.path, prompt, tokens: 12 });
      expected.push({
        promptIds: Array.from(trainer.data.tokenizer.encode(prompt)),
        text: prompt + report.text,
        ropeTheta: 5000,
        config: special,
        generation: { bos: eos, eos, pad: eos },
        tokenizer: special,
        dtype: 'torch.float32',
      });
    }
    const program = join(root, 'test/helpers/open_checkpoints.py');
    const output = execFileSync('python3', [program, JSON.stringify(requests)], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual(expected);
  },
);
