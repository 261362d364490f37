import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { llama } from '../../lib/models/index.js';
import { loadModel, Trainer } from '../../lib/train/index.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const written = (change: object = {}): string =>
  JSON.stringify({ ...llama(tinyConfig).pretrainedConfig('f32'), ...change });

test('a preset by its name, with single values replaced', () => {
  const model = loadModel('llama-3-8b', { maxPositionEmbeddings: 16384 });
  expect(model.name).toBe('llama-3-8b');
  expect(model.describe()).toEqual(llama('llama-3-8b', { maxPositionEmbeddings: 16384 }).describe());
});

test('a file and a folder in the words of config.json', async () => {
  const path = await file('some.json', written({ rms_norm_eps: 1e-4 }));
  expect(loadModel(path).describe()).toEqual(llama({ ...tinyConfig, rmsNormEps: 1e-4 }).describe());
  const inside = join(folder, 'downloaded');
  await mkdir(inside);
  await writeFile(join(inside, 'config.json'), written());
  const model = loadModel(inside, { ropeTheta: 5000 });
  expect(model.describe()).toEqual(llama({ ...tinyConfig, ropeTheta: 5000 }).describe());
});

test('a checkpoint is such a folder', async () => {
  await using trainer = await Trainer.create(tinyRun(text, { outputDirectory: join(folder, 'run') }));
  const { path } = await trainer.save();
  expect(loadModel(path).describe()).toEqual(llama(tinyConfig).describe());
});

test.each<[string, () => Promise<string> | string, object]>([
  ['nothing of that name', () => 'llama-60', { code: 'MODEL_UNKNOWN', remedy: "Did you mean 'llama-60m'?" }],
  ['a missing file', () => join(folder, 'no.json'), { code: 'MODEL_UNKNOWN', received: /no.json/ }],
  ['a folder without one', () => folder, { code: 'MODEL_READ', message: /config.json/ }],
  ['a device', () => '/dev/null', { code: 'MODEL_READ', received: /no regular file/ }],
  ['no JSON', () => file('a.json', '{"model_type": '), { code: 'MODEL_READ', message: /a.json/ }],
  ['no object', () => file('b.json', '[]'), { code: 'TYPE', message: /b.json/ }],
  [
    'no model_type',
    () => file('c.json', '{}'),
    { code: 'CONFIG_VALUE', op: 'model_type', message: /c.json/ },
  ],
  [
    'an unknown model_type',
    () => file('d.json', written({ model_type: 'lamma' })),
    { code: 'MODEL_UNKNOWN', op: 'model_type', remedy: "Did you mean 'llama'?" },
  ],
  [
    'a missing field',
    () => file('e.json', written({ vocab_size: undefined })),
    { code: 'CONFIG_VALUE', op: 'vocab_size', message: /e.json: vocab_size is missing/ },
  ],
  [
    'a mistyped field',
    () => file('f.json', written({ hiden_size: 8 })),
    { code: 'CONFIG_UNKNOWN_KEY', op: 'hiden_size', remedy: "Did you mean 'hidden_size'?" },
  ],
  ['an empty name', () => '', { code: 'ARGUMENT', op: 'model' }],
])('%s is refused', async (_what, source, { code, ...rest }: { code?: string }) => {
  const fields = Object.entries(rest).map(
    ([key, value]: [string, unknown]) =>
      [key, value instanceof RegExp ? expect.stringMatching(value) : value] as const,
  );
  const given = await source();
  expect(() => loadModel(given)).toThrow(
    expect.objectContaining({ code: `ERR_COMPACT_${code}`, ...Object.fromEntries(fields) }),
  );
});
