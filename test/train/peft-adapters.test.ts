/**
 * Adapters go to PEFT and come from it: names, shapes and scales as PEFT has them, fused tensors included. Fixtures:
 * scripts/fixtures/make_peft.py.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { dense, dora, lora, relora, type Method } from '../../lib/methods/index.js';
import { exportAdapters, exportModel, loadModel, Trainer } from '../../lib/train/index.js';
import { readJson } from '../helpers/fixtures.js';
import { logitsOfCheckpoint, logitsOfFolder } from '../helpers/generated-logits.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { makeFolder } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const fixture = (name: string): string => join(__dirname, '../fixtures', name);
const llamaBase = fixture('pretrained/f32');
const { tokens, cases } = readJson('peft/outputs.json') as {
  readonly tokens: readonly number[];
  readonly cases: Readonly<
    Record<
      string,
      { readonly logits: readonly number[]; readonly naiveError: number; readonly change: number }
    >
  >;
};
let numFolders = 0;
const newPath = (): string => join(folder, `made-${numFolders++}`);

const runFrom = (base: string, method: Method, adapter?: string) => ({
  model: loadModel(base),
  baseModel: base,
  adapter,
  method,
  data: { train: text, tokenizer: 'bytes' },
  batchSize: 1,
  sequenceLength: 12,
  maxSteps: 3,
  learningRate: 0.05,
  threads: 1,
  device: 'cpu' as const,
  outputDirectory: newPath(),
});

async function trained(base: string, method: Method): Promise<string> {
  await using trainer = await Trainer.create(runFrom(base, method));
  const { checkpoint } = await trainer.run();
  return checkpoint!.path;
}

const readConfig = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(path, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;

const difference = (found: Iterable<number>, right: readonly number[]): number => {
  const largest = Math.max(...right.map(Math.abs));
  return Math.max(...Array.from(found, (value, i) => Math.abs(value - right[i]!))) / largest;
};

/** What PEFT is asked for, and the checkpoints that it is held against. */
const requests: object[] = [];
const checkpoints: string[] = [];

describe.each<[string, () => Promise<string> | string, Method, object]>([
  [
    'llama',
    () => llamaBase,
    lora({ r: 3, loraAlpha: 5, targetModules: 'all-linear' }),
    { r: 3, lora_alpha: 5, use_rslora: false, fan_in_fan_out: false, rank_pattern: {} },
  ],
  [
    'phi3, two of three parts of a tensor',
    () => writeModelFolder(newPath(), modelOfBytes('phi3')),
    lora({ r: 2, loraAlpha: 3, useRslora: true }),
    {
      target_modules: ['qkv_proj'],
      rank_pattern: { 'model.layers.0.self_attn.qkv_proj': 4, 'model.layers.1.self_attn.qkv_proj': 4 },
    },
  ],
  [
    'gpt2, one of two modules of a name',
    () => writeModelFolder(newPath(), modelOfBytes('gpt2')),
    lora({ r: 2, targetModules: ['query', 'key', 'value', 'output'] }),
    { fan_in_fan_out: true, target_modules: ['attn.c_proj', 'c_attn'] },
  ],
])('%s', (_, makeBase, method, words) => {
  const adapters = newPath();
  let [base, checkpoint] = ['', ''];
  beforeAll(async () => {
    base = await makeBase();
    checkpoint = await trained(base, method);
    await exportAdapters({ checkpoint, folder: adapters });
    requests.push({ base, adapters, tokens });
    checkpoints.push(checkpoint);
  });

  test('the configuration speaks the words of PEFT', () => {
    expect(readConfig(adapters)).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      base_model_name_or_path: base,
      bias: 'none',
      ...words,
    });
    expect(existsSync(join(adapters, 'tokenizer.json'))).toBe(true);
  });

  test('merged from PEFT the model is that of the run', async () => {
    const merged = newPath();
    // The base model is the one that the adapters name.
    const { numMergedAdapters } = await exportModel({ checkpoint: adapters, folder: merged, dtype: 'f32' });
    expect(numMergedAdapters).toBeGreaterThan(0);
    requests.push({ base: merged, tokens });
    checkpoints.push(checkpoint);
    const right = await logitsOfCheckpoint(checkpoint, tokens);
    expect(difference(await logitsOfFolder(merged, tokens), Array.from(right))).toBeLessThan(1e-5);
  });
});

const hasPeft = spawnSync('python3', ['-c', 'import peft']).status === 0;
if (!hasPeft) console.log('skipped: python3 with peft was not found');

// One process for all: to import PEFT takes much longer than to run it.
(hasPeft ? test : test.skip)(
  'PEFT computes with the adapters, and transformers with merged weights, what the runs compute',
  async () => {
    const program = join(__dirname, '../helpers/open_exports.py');
    const output = execFileSync('python3', [program, JSON.stringify(requests)], { encoding: 'utf8' });
    const logits = JSON.parse(output) as number[][];
    expect(logits.length).toBe(6);
    for (const [i, found] of logits.entries())
      expect(difference(await logitsOfCheckpoint(checkpoints[i]!, tokens), found)).toBeLessThan(1e-5);
  },
);

test('names and shapes of factors', async () => {
  const adapters = newPath();
  await exportAdapters({
    checkpoint: await trained(llamaBase, lora({ r: 3, targetModules: ['key'] })),
    folder: adapters,
    baseModelName: 'someone/some-model',
  });
  expect(readConfig(adapters)).toMatchObject({
    base_model_name_or_path: 'someone/some-model',
    target_modules: ['k_proj'],
  });
  await using file = await SafetensorsFile.open(join(adapters, 'adapter_model.safetensors'));
  expect([...file.tensors].map(([name, { dtype, shape }]) => [name, dtype, ...shape])).toEqual(
    [0, 1].flatMap((layer) => {
      const module = `base_model.model.model.layers.${layer}.self_attn.k_proj`;
      return [
        [`${module}.lora_A.weight`, 'f32', 3, 16],
        [`${module}.lora_B.weight`, 'f32', 8, 3],
      ];
    }),
  );
});

describe('adapters that PEFT has saved', () => {
  test.each(Object.keys(cases))('%s: merged, logits are those of PEFT', async (name) => {
    const { logits, naiveError, change } = cases[name]!;
    const merged = newPath();
    await exportModel({ checkpoint: fixture(`peft/${name}`), baseModel: llamaBase, folder: merged });
    const largest = Math.max(...logits.map(Math.abs));
    expect(naiveError).toBeLessThan(1e-5 * largest);
    expect(change).toBeGreaterThan(0.1 * largest);
    expect(difference(await logitsOfFolder(merged, tokens), logits)).toBeLessThan(1e-5);
  });

  test('training starts from them', async () => {
    const run = runFrom(llamaBase, lora({ r: 3, loraAlpha: 6 }), fixture('peft/plain'));
    await using trainer = await Trainer.create(run);
    const { path } = await trainer.save();
    expect(difference(await logitsOfCheckpoint(path, tokens), cases['plain']!.logits)).toBeLessThan(1e-5);
  });
});

/** The fixture with other words, or other files. */
function changed(change: object, files: Readonly<Record<string, string>> = {}): string {
  const path = newPath();
  mkdirSync(path);
  cpSync(fixture('peft/plain'), path, { recursive: true });
  const words = JSON.stringify({ ...readConfig(path), ...change });
  writeFileSync(join(path, 'adapter_config.json'), words);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

describe('is refused, and nothing is left behind', () => {
  const merge = (checkpoint: string, baseModel: string | undefined = llamaBase) =>
    exportModel({ checkpoint, folder: join(folder, 'x'), baseModel });
  const start = (method: Method, adapter = fixture('peft/plain')) =>
    Trainer.create(runFrom(llamaBase, method, adapter));

  test.each<[string, () => Promise<unknown>, Readonly<Record<string, unknown>>]>([
    [
      'a base model of other shapes',
      () => merge(fixture('peft/plain'), fixture('pretrained/bf16')),
      { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', op: expect.stringMatching(/lora_B.weight$/) },
    ],
    [
      'a base model with other modules',
      async () => merge(fixture('peft/plain'), await writeModelFolder(newPath(), modelOfBytes('gpt2'))),
      { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', op: 'checkpoint', received: /self_attn/ },
    ],
    [
      'a base model that is not here',
      () => exportModel({ checkpoint: fixture('peft/plain'), folder: join(folder, 'x') }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'baseModel', received: /pretrained\/f32/ },
    ],
    [
      'adapters that name themselves as their base model',
      () => {
        const path = changed({}, { 'config.json': '{}' });
        const words = JSON.stringify({ ...readConfig(path), base_model_name_or_path: path });
        writeFileSync(join(path, 'adapter_config.json'), words);
        return exportModel({ checkpoint: path, folder: join(folder, 'x') });
      },
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'baseModel' },
    ],
    [
      'DoRA',
      () => merge(changed({ use_dora: true })),
      { code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', op: 'use_dora' },
    ],
    ['biases', () => merge(changed({ bias: 'all' })), { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'bias' }],
    [
      'another kind',
      () => merge(changed({ peft_type: 'IA3' })),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'peft_type' },
    ],
    [
      'weights that were changed at the start',
      () => merge(changed({ init_lora_weights: 'pissa' })),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'init_lora_weights' },
    ],
    ['a rank that is none', () => merge(changed({ r: 0 })), { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'r' }],
    [
      'a rank that is not that of the factors',
      () => merge(changed({ r: 4 })),
      { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', expected: '(4, 16), in floating point' },
    ],
    [
      'words that are no JSON',
      () => merge(changed({}, { 'adapter_config.json': '{' })),
      { code: 'ERR_COMPACT_CHECKPOINT_INVALID', op: 'adapter_config.json' },
    ],
    [
      'a pickle',
      () => {
        const path = newPath();
        mkdirSync(path);
        cpSync(join(fixture('peft/plain'), 'adapter_config.json'), join(path, 'adapter_config.json'));
        writeFileSync(join(path, 'adapter_model.bin'), 'PK');
        return merge(path);
      },
      { code: 'ERR_COMPACT_CHECKPOINT_INVALID', op: 'adapter_model.bin', remedy: /AutoPeftModel/ },
    ],
    ['a method without adapters', () => start(dense()), { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'adapter' }],
    ['another rank', () => start(lora({ r: 2 })), { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'method.r' }],
    [
      'another scale',
      () => start(lora({ r: 3, loraAlpha: 5 })),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'method.loraAlpha' },
    ],
    [
      'other weights',
      () => start(lora({ r: 3, loraAlpha: 6, targetModules: ['query'] })),
      { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', op: 'adapter', received: /v_proj/ },
    ],
    [
      'adapters without a base model',
      () => Trainer.create({ ...runFrom(llamaBase, lora()), baseModel: undefined, adapter: 'x' }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'adapter' },
    ],
    [
      'the adapters of a method that trains more',
      async () =>
        exportAdapters({ checkpoint: await trained(llamaBase, relora({ r: 2 })), folder: join(folder, 'x') }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'checkpoint', received: 'relora' },
    ],
    [
      'magnitudes',
      async () =>
        exportAdapters({ checkpoint: await trained(llamaBase, dora({ r: 2 })), folder: join(folder, 'x') }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'checkpoint', received: 'dora' },
    ],
    [
      'the adapters of a checkpoint that has none',
      async () =>
        exportAdapters({ checkpoint: await trained(llamaBase, dense()), folder: join(folder, 'x') }),
      { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', op: 'checkpoint' },
    ],
  ])('%s', async (_, run, { received, remedy, ...error }) => {
    const found = await run().then(
      () => undefined,
      (reason: unknown) => reason as Readonly<Record<string, unknown>>,
    );
    expect(found).toMatchObject(error);
    if (received instanceof RegExp) expect(found!['received']).toMatch(received);
    else if (received !== undefined) expect(found!['received']).toBe(received);
    if (remedy !== undefined) expect(found!['remedy']).toMatch(remedy as RegExp);
    expect(existsSync(join(folder, 'x'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
