/** Adapters of a checkpoint are added to their weights, or to those of a base model, as double precision gives it. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { convertNumbers, openWeights, type FloatDType } from '../../lib/formats/index.js';
import { dense, dora, lora, loraFa, qlora, relora, type Method } from '../../lib/methods/index.js';
import { llama, modelFromPretrainedConfig, type Model } from '../../lib/models/index.js';
import { exportModel, loadModel, Trainer } from '../../lib/train/index.js';
import { logitsOfCheckpoint, logitsOfFolder } from '../helpers/generated-logits.js';
import { readModel } from '../helpers/model-fixtures.js';
import { makeFolder, tinyConfig } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const base = join(__dirname, '../fixtures/pretrained/f16');
const tokens = Array.from('one two thre', (letter) => letter.charCodeAt(0));
let numFolders = 0;
const newPath = (): string => join(folder, `exported-${numFolders++}`);

/** Three steps that are large enough to be seen. */
async function trained(model: Model, method: Method, baseModel?: string): Promise<string> {
  await using trainer = await Trainer.create({
    model,
    method,
    baseModel,
    data: { train: text, tokenizer: 'bytes' },
    batchSize: 1,
    sequenceLength: 12,
    maxSteps: 3,
    learningRate: 0.05,
    threads: 1,
    device: 'cpu',
    outputDirectory: newPath(),
  });
  const { checkpoint } = await trainer.run();
  return checkpoint!.path;
}

type Numbers = ReadonlyMap<string, Float64Array>;

async function numbersIn(path: string): Promise<Numbers> {
  await using files = await openWeights(path);
  const found = new Map<string, Float64Array>();
  for (const [name, { dtype, byteLength }] of files.tensors) {
    const bytes = new Uint8Array(byteLength);
    await files.readInto(name, bytes, 0);
    if (!['f32', 'bf16', 'f16'].includes(dtype)) continue;
    const singles = new Float32Array(convertNumbers(bytes, dtype as FloatDType, 'f32').buffer);
    found.set(name, Float64Array.from(singles));
  }
  return found;
}

/** Adds every adapter to a copy of the weights, element by element. */
function twinOf(model: Model, weights: Numbers, adapters: Numbers, r: number, scale: number): Numbers {
  const sums = new Map([...weights].map(([name, numbers]) => [name, numbers.slice()]));
  for (const { parameter, tensor, layout, part } of model.weights) {
    const name = parameter.replace(/weight$/, '');
    const [a, b] = ['A', 'B'].map((letter) => adapters.get(`${name}lora_${letter}.weight`));
    if (a === undefined || b === undefined) continue;
    const [inputs, outputs] = [a.length / r, b.length / r];
    const { first, of } = part ?? { first: 0, of: outputs };
    for (let i = 0; i < inputs; i++)
      for (let o = 0; o < outputs; o++) {
        const at = layout === 'transposed' ? (first + o) * inputs + i : i * of + first + o;
        for (let k = 0; k < r; k++) sums.get(tensor)![at]! += scale * b[o * r + k]! * a[k * inputs + i]!;
      }
    // With magnitudes: m V / |V|, with the norm of all weights of an output (DoRA).
    const magnitudes = adapters.get(`${name}lora_magnitude_vector`);
    for (const [o, magnitude] of (magnitudes ?? []).entries()) {
      const numbers = sums.get(tensor)!;
      const all = Array.from({ length: inputs }, (_, i) =>
        layout === 'transposed' ? (first + o) * inputs + i : i * of + first + o,
      );
      const norm = Math.hypot(...all.map((at) => numbers[at]!));
      for (const at of all) numbers[at]! *= magnitude / norm;
    }
  }
  return sums;
}

/** Largest difference of two sets of tensors, as a share of the largest number. */
function worst(found: Numbers, right: Numbers): number {
  expect([...found.keys()].sort()).toEqual([...right.keys()].sort());
  return Math.max(
    ...[...right].map(([name, numbers]) => {
      const largest = Math.max(...numbers.map(Math.abs)) || 1;
      return Math.max(...numbers.map((value, i) => Math.abs(value - found.get(name)![i]!))) / largest;
    }),
  );
}

const withoutAdapters = (numbers: Numbers): Numbers =>
  new Map([...numbers].filter(([name]) => !name.includes('.lora_')));

const largestDifference = (found: Float32Array, right: Float32Array): number =>
  Math.max(...right.map((value, i) => Math.abs(value - found[i]!))) / Math.max(...right.map(Math.abs));

const withBytes = (name: string): Model =>
  modelFromPretrainedConfig({ ...readModel(name).saved, vocab_size: 257 });

describe.each<[string, () => Model, Method, number, number]>([
  ['llama', () => loadModel(base), lora({ r: 3, loraAlpha: 5, targetModules: 'all-linear' }), 3, 5 / 3],
  ['tied, rsLoRA', () => withBytes('llama3'), loraFa({ r: 4, loraAlpha: 6, useRslora: true }), 4, 3],
  ['phi3, parts of a tensor', () => withBytes('phi3'), lora({ r: 2, loraAlpha: 2 }), 2, 1],
  ['gpt2, not transposed', () => withBytes('gpt2'), lora({ r: 2, targetModules: 'all-linear' }), 2, 4],
  ['dora', () => loadModel(base), dora({ r: 3, loraAlpha: 6, targetModules: 'all-linear' }), 3, 2],
  ['dora, parts of a tensor', () => withBytes('phi3'), dora({ r: 2, loraAlpha: 2 }), 2, 1],
  [
    'dora, not transposed',
    () => withBytes('gpt2'),
    dora({ r: 2, loraAlpha: 2, targetModules: ['query', 'up'] }),
    2,
    1,
  ],
  ['relora, between two merges', () => loadModel(base), relora({ r: 2, resetInterval: 2 }), 2, 16],
])('%s', (_, modelOf, method, r, scale) => {
  const merged = newPath();
  let checkpoint = '';
  beforeAll(async () => {
    checkpoint = await trained(modelOf(), method);
    const { numMergedAdapters } = await exportModel({ checkpoint, folder: merged, dtype: 'f32' });
    expect(numMergedAdapters).toBeGreaterThan(0);
  });

  test('weights are those of the equation, rounded once', async () => {
    const before = await numbersIn(checkpoint);
    const twin = twinOf(modelOf(), withoutAdapters(before), before, r, scale);
    const found = await numbersIn(merged);
    // Norms are those of the run, taken in fp32 over columns of some ten numbers.
    const roundings = method.name === 'dora' ? 16 : 1;
    expect(worst(found, twin)).toBeLessThan(roundings * 2 ** -24);
    expect(worst(found, withoutAdapters(before))).toBeGreaterThan(1e-3);
  });

  test('logits are those of the run', async () => {
    const right = await logitsOfCheckpoint(checkpoint, tokens);
    expect(largestDifference(await logitsOfFolder(merged, tokens), right)).toBeLessThan(1e-5);
  });
});

describe('over weights in codes', () => {
  test.each([
    ['NF4 and int8 tables', qlora({ r: 2, embeddingWeights: 'int8' })],
    ['int8', lora({ r: 2, weights: 'int8' })],
    ['NF4 of parts of tensors', qlora({ r: 2 }), () => withBytes('phi3')],
    ['NF4 of rows of an odd number', qlora({ r: 2 }), () => llama({ ...tinyConfig, intermediateSize: 33 })],
  ])(
    '%s: logits of decoded weights are those of the run',
    async (_, method, modelOf = () => loadModel(base)) => {
      const checkpoint = await trained(modelOf(), method);
      const merged = newPath();
      await exportModel({ checkpoint, folder: merged, dtype: 'f32' });
      const right = await logitsOfCheckpoint(checkpoint, tokens);
      expect(largestDifference(await logitsOfFolder(merged, tokens), right)).toBeLessThan(1e-5);
    },
  );

  test('the base model as it is takes the adapters where it is named', async () => {
    const checkpoint = await trained(loadModel(base), qlora({ r: 2 }), base);
    const merged = newPath();
    const report = await exportModel({ checkpoint, folder: merged, baseModel: base });
    expect(report.dtype).toBe('f16');
    const twin = twinOf(loadModel(base), await numbersIn(base), await numbersIn(checkpoint), 2, 8);
    expect(worst(await numbersIn(merged), twin)).toBeLessThan(2 ** -11);
  });

  test('trained weights in int8 are decoded', async () => {
    const checkpoint = await trained(loadModel(base), dense({ weights: 'int8' }), base);
    const exported = newPath();
    await exportModel({ checkpoint, folder: exported, dtype: 'f32' });
    const right = await logitsOfCheckpoint(checkpoint, tokens);
    expect(largestDifference(await logitsOfFolder(exported, tokens), right)).toBeLessThan(1e-5);
  });
});

describe('is refused, and nothing is left behind', () => {
  let checkpoint: string;
  beforeAll(async () => {
    checkpoint = await trained(loadModel(base), lora({ r: 2 }), base);
  });

  test.each<[string, () => Promise<unknown>, object]>([
    [
      'a base model of other shapes',
      () => exportModel({ checkpoint, folder: join(folder, 'x'), baseModel: join(base, '../bf16') }),
      { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', op: 'baseModel' },
    ],
    [
      'a base model where there are no adapters',
      () => exportModel({ checkpoint: base, folder: join(folder, 'x'), baseModel: base }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'baseModel' },
    ],
  ])('%s', async (_, run, error) => {
    await expect(run()).rejects.toMatchObject(error);
    expect(existsSync(join(folder, 'x'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
