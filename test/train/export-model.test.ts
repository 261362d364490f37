/** Exported folders hold the weights of a checkpoint as their base model has them, or in another type and other files. */
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { openWeights, SafetensorsFile, writeSafetensors } from '../../lib/formats/index.js';
import { dense } from '../../lib/methods/index.js';
import { openBaseModel } from '../../lib/train/weights/base-model.js';
import { exportModel, loadModel, Trainer } from '../../lib/train/index.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { makeFolder } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const base = join(__dirname, '../fixtures/pretrained/f16');

/** The checkpoint before the first step, whose weights are those of the base model. */
async function untrained(name: string): Promise<string> {
  await using trainer = await Trainer.create({
    model: loadModel(base),
    baseModel: base,
    method: dense(),
    data: { train: text, tokenizer: 'bytes' },
    batchSize: 1,
    sequenceLength: 16,
    maxSteps: 1,
    learningRate: 0.01,
    threads: 1,
    device: 'cpu',
    outputDirectory: join(folder, name),
  });
  return (await trainer.save()).path;
}

let checkpoint: string;
beforeAll(async () => {
  checkpoint = await untrained('run');
});

const readJson = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

test('in the type of the base model every tensor is the same bytes again', async () => {
  const exported = join(folder, 'same');
  const report = await exportModel({ checkpoint: join(folder, 'run'), folder: exported });
  expect(report).toEqual({
    folder: exported,
    files: ['model.safetensors'],
    dtype: 'f16',
    numMergedAdapters: 0,
  });
  expect(readdirSync(exported).sort()).toEqual([
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  await using right = await SafetensorsFile.open(join(base, 'model.safetensors'));
  await using found = await SafetensorsFile.open(join(exported, 'model.safetensors'));
  expect([...found.tensors.keys()].sort()).toEqual([...right.tensors.keys()].sort());
  for (const [name, { dtype, shape }] of right.tensors) {
    expect(found.tensors.get(name)).toMatchObject({ dtype, shape });
    expect(Buffer.compare(await found.read(name), await right.read(name))).toBe(0);
  }
  expect(readJson(join(exported, 'config.json'))).toMatchObject({ dtype: 'float16', model_type: 'llama' });
});

test('a downloaded folder is exported as it is, with all files that go with it', async () => {
  const [downloaded, exported] = [join(folder, 'downloaded'), join(folder, 'exported')];
  cpSync(base, downloaded, { recursive: true });
  const others = { 'chat_template.jinja': '{{ messages }}', 'tokenizer.model': '\x00\xff', 'README.md': '' };
  for (const [name, content] of Object.entries(others))
    writeFileSync(join(downloaded, name), content, 'latin1');
  expect(await exportModel({ checkpoint: downloaded, folder: exported })).toMatchObject({ dtype: 'f16' });
  expect(readdirSync(exported).sort()).toEqual([
    'chat_template.jinja',
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.model',
  ]);
  for (const name of ['generation_config.json', 'tokenizer.model', 'chat_template.jinja'])
    expect(readFileSync(join(exported, name))).toEqual(readFileSync(join(downloaded, name)));
  expect(readJson(join(exported, 'config.json'))).toMatchObject(readJson(join(base, 'config.json')));
});

test('soft caps stay floating point, which transformers ask for', async () => {
  const [downloaded, exported] = [join(folder, 'gemma'), join(folder, 'gemma-exported')];
  const caps = { attn_logit_softcapping: 50, final_logit_softcapping: 30 };
  await writeModelFolder(downloaded, modelOfBytes('gemma2', caps));
  await exportModel({ checkpoint: downloaded, folder: exported });
  const text = readFileSync(join(exported, 'config.json'), 'utf8');
  expect(text).toMatch(/"attn_logit_softcapping": 50\.0,/);
  expect(text).toMatch(/"final_logit_softcapping": 30\.0,/);
  expect(JSON.parse(text)).toMatchObject(caps);
});

test('shards hold at most what they may, and open as one model', async () => {
  const exported = join(folder, 'shards');
  const { files } = await exportModel({ checkpoint, folder: exported, dtype: 'bf16', maxShardBytes: 9000 });
  expect(files.length).toBeGreaterThan(2);
  const sizes = files.map((name) => readFileSync(join(exported, name)).length);
  expect(Math.max(...sizes)).toBeLessThan(9000 + 4000); // headers
  const { metadata } = readJson(join(exported, 'model.safetensors.index.json'));
  await using weights = await openWeights(exported);
  const total = [...weights.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(metadata).toEqual({ total_size: total });
  await using model = await openBaseModel(exported, loadModel(exported));
  expect(model.dtype).toBe('bf16');
});

test.each<[string, () => Promise<unknown>, object]>([
  [
    'a folder that is there',
    () => exportModel({ checkpoint, folder }),
    { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'folder' },
  ],
  [
    'a number that the type does not hold',
    async () => {
      const changed = join(folder, 'changed');
      cpSync(checkpoint, changed, { recursive: true });
      await using file = await SafetensorsFile.open(join(checkpoint, 'model.safetensors'));
      const sources = [...file.tensors].map(([name, { dtype, shape }]) => ({
        name,
        dtype,
        shape,
        async *read() {
          const bytes = await file.read(name);
          if (name === 'model.norm.weight') new Float32Array(bytes.buffer)[3] = 70_000;
          yield bytes;
        },
      }));
      writeFileSync(join(changed, 'model.safetensors'), '');
      const whole = join(folder, 'whole.safetensors');
      await writeSafetensors(whole, sources);
      cpSync(whole, join(changed, 'model.safetensors'));
      return exportModel({ checkpoint: changed, folder: join(folder, 'x') });
    },
    { code: 'ERR_COMPACT_CHECKPOINT_INVALID', op: 'model.norm.weight', received: '70000' },
  ],
  [
    'no checkpoint',
    () => exportModel({ checkpoint: join(folder, 'none'), folder: join(folder, 'x') }),
    { code: 'ERR_COMPACT_CHECKPOINT_MISSING' },
  ],
])('%s is refused, and nothing is left behind', async (_, run, error) => {
  await expect(run()).rejects.toMatchObject(error);
  expect(existsSync(join(folder, 'x'))).toBe(false);
  expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
});
