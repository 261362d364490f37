/**
 * Training from weights that others have made: logits and losses are those of transformers, codes those of the engine, and
 * what does not fit is refused by name before anything starts. Fixtures: scripts/fixtures/make_pretrained.py.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile, type Plan } from '../../lib/compile/index.js';
import { convertNumbers, SafetensorsFile, toSingles, writeSafetensors } from '../../lib/formats/index.js';
import type { TensorSource } from '../../lib/formats/index.js';
import { dense, lora, qlora, type Method } from '../../lib/methods/index.js';
import { encodeInt8, encodeNf4 } from '../../lib/methods/weights/encode.js';
import { llama, type Model } from '../../lib/models/index.js';
import { cpuTarget, Engine, type HostArray } from '../../lib/runtime/index.js';
import { openBaseModel } from '../../lib/train/weights/base-model.js';
import { loadModel, optionsFromRecipe, Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { writeConstants } from '../../lib/train/weights/tensor-files.js';
import { readJson } from '../helpers/fixtures.js';
import { MemoryEngine } from '../helpers/memory-engine.js';
import { readModel, readParameters, recordedModels } from '../helpers/model-fixtures.js';
import { makeFolder } from '../helpers/tiny-run.js';
import { largestDifference, logitsOfTokens } from '../helpers/whole-model.js';

interface Outputs {
  readonly tokens: readonly number[];
  readonly loss: number;
  readonly naiveLossError: number;
  readonly logits: Readonly<Record<string, readonly number[]>>;
  readonly naiveLogitsError: number;
}
const { cases } = readJson('pretrained/outputs.json') as { cases: Readonly<Record<string, Outputs>> };
const fixture = (name: string): string => join(__dirname, '../fixtures/pretrained', name);
const sequenceLength = 32;
/** What is asked of fp32 by a wide margin: errors of transformers in fp32 stand beside the outputs. */
const relativeTolerance = 1e-5;

const { folder } = makeFolder();
let numFolders = 0;
const newPath = (): string => join(folder, String(numFolders++));

/** One sequence, which is that of the fixture. */
function textOf({ tokens }: Outputs): string {
  const path = `${newPath()}.txt`;
  writeFileSync(path, Uint8Array.from(tokens));
  return path;
}

const runFrom = (name: string, change: Partial<TrainerOptions> = {}): TrainerOptions => ({
  model: loadModel(fixture(name)),
  baseModel: fixture(name),
  method: dense(),
  data: { train: textOf(cases[name]!), tokenizer: 'bytes', validationFraction: 0 },
  batchSize: 1,
  sequenceLength,
  maxSteps: 3,
  learningRate: 0.01,
  threads: 1,
  device: 'cpu',
  ...change,
});

const planOf = (model: Model, method: Method, dtype: 'f32' | 'bf16' = 'f32'): Plan =>
  compile({
    model,
    method,
    dtype,
    batchSize: 1,
    sequenceLength: Math.min(sequenceLength, model.maxSequenceLength),
    target: cpuTarget({ threads: 1 }),
    entries: ['train', 'generate', 'initialize'],
  });

async function firstLoss(options: TrainerOptions): Promise<number> {
  await using trainer = await Trainer.create(options);
  for await (const { loss } of trainer) return loss;
  throw new Error('no step');
}

test('what files give is not initialized: neither time nor memory goes into numbers that are written over', async () => {
  const initialized = ({ entries, values }: Plan): string[] => [
    ...new Set(
      (entries['initialize']?.instructions ?? [])
        .flatMap(({ outputs }) => outputs.map((id) => values[id]!))
        .filter(({ region }) => region === 'persistent')
        .map(({ name }) => name),
    ),
  ];
  const planFrom = async (change: Partial<TrainerOptions>): Promise<Plan> => {
    await using trainer = await Trainer.create(runFrom('f32', change));
    return trainer.plan;
  };
  expect((await planFrom({})).entries['initialize']).toBeUndefined();
  const adapters = initialized(await planFrom({ method: qlora({ r: 2, embeddingWeights: 'int8' }) }));
  expect(adapters.length).toBeGreaterThan(0);
  expect(adapters.filter((name) => !name.includes('lora_'))).toEqual([]);
  const all = initialized(planOf(loadModel(fixture('f32')), qlora({ r: 2 })));
  expect(all.some((name) => !name.includes('lora_'))).toBe(true);
});

describe.each(Object.keys(cases))('weights in %s', (name) => {
  const { loss, naiveLossError, tokens, logits, naiveLogitsError } = cases[name]!;

  test('the first loss is that of transformers', async () => {
    expect(naiveLossError).toBeLessThan(relativeTolerance * loss);
    const found = await firstLoss(runFrom(name));
    expect(Math.abs(found - loss)).toBeLessThan(relativeTolerance * loss);
  });

  test('an adapter that is new changes nothing of it', async () => {
    const found = await firstLoss(runFrom(name, { method: lora({ r: 2 }) }));
    expect(Math.abs(found - loss)).toBeLessThan(relativeTolerance * loss);
  });

  test('logits are those of transformers', async () => {
    const model = loadModel(fixture(name));
    const plan = planOf(model, dense());
    await using base = await openBaseModel(fixture(name), model);
    expect(base.dtype).toBe(name);
    await using engine = await Engine.open({ device: 'cpu', threads: 1 });
    await engine.load(plan);
    await writeConstants(engine, plan, model, sequenceLength);
    await base.loadInto(engine, plan);
    const found = await logitsOfTokens(engine, tokens.slice(0, sequenceLength));
    for (const [row, right] of Object.entries(logits)) {
      const largest = Math.max(...right.map(Math.abs));
      expect(naiveLogitsError).toBeLessThan(relativeTolerance * largest);
      expect(largestDifference(found[Number(row)]!, right)).toBeLessThan(relativeTolerance * largest);
    }
  });

  test('every weight has the numbers of its file, rounded once', async () => {
    const model = loadModel(fixture(name));
    await using base = await openBaseModel(fixture(name), model);
    for (const dtype of ['f32', 'bf16'] as const) {
      const plan = planOf(model, dense(), dtype);
      const engine = new MemoryEngine(plan);
      await base.loadInto(engine, plan);
      for (const [parameter, numbers] of numbersOf(name, model)) {
        const right = convertNumbers(new Uint8Array(numbers.buffer), 'f32', dtype);
        expect(Buffer.compare(engine.tensors.get(parameter)!, right)).toBe(0);
      }
    }
  });

  test.each([
    ['int8', dense({ weights: 'int8' })],
    ['NF4, tables in int8', qlora({ r: 2, embeddingWeights: 'int8', targetModules: ['query'] })],
  ] as const)('codes of %s are those of its numbers', async (_, method) => {
    const model = loadModel(fixture(name));
    const plan = planOf(model, method);
    await using base = await openBaseModel(fixture(name), model);
    const engine = new MemoryEngine(plan);
    await base.loadInto(engine, plan);
    const kinds = new Set<string>();
    for (const [parameter, numbers] of numbersOf(name, model)) {
      const codes = engine.tensors.get(`${parameter}.codes`);
      if (codes === undefined) continue;
      const isInt8 = engine.tensors.has(`${parameter}.scales`);
      kinds.add(isInt8 ? 'int8' : 'nf4');
      for (const [part, right] of Object.entries(isInt8 ? encodeInt8(numbers) : encodeNf4(numbers))) {
        const { buffer, byteLength } = right as HostArray;
        expect(
          Buffer.compare(engine.tensors.get(`${parameter}.${part}`)!, Buffer.from(buffer, 0, byteLength)),
        ).toBe(0);
      }
    }
    expect(kinds.size).toBe(method.name === 'dense' ? 1 : 2);
  });
});

describe('every recorded model', () => {
  /** A folder as transformers write it. */
  function folderOf(name: string): string {
    const path = newPath();
    mkdirSync(path);
    writeFileSync(join(path, 'config.json'), JSON.stringify(readModel(name).saved));
    cpSync(join(__dirname, `../fixtures/models/${name}.safetensors`), join(path, 'model.safetensors'));
    return path;
  }

  async function expectParameters(name: string, path: string): Promise<void> {
    const model = loadModel(path);
    const plan = planOf(model, dense());
    const engine = new MemoryEngine(plan);
    await using base = await openBaseModel(path, model);
    await base.loadInto(engine, plan);
    for (const [parameter, { data }] of readParameters(name, model)) {
      const { buffer, byteLength } = Float32Array.from(data);
      const isSame = Buffer.compare(engine.tensors.get(parameter)!, Buffer.from(buffer, 0, byteLength)) === 0;
      expect([parameter, isSame]).toEqual([parameter, true]);
    }
  }

  test.each(recordedModels)('%s is read, fused tensors in parts', async (name) => {
    await expectParameters(name, folderOf(name));
  });

  /** Such a folder with tensors under other names, and more of them: one zero each. */
  async function rewrittenFolderOf(
    name: string,
    nameOf: (tensor: string) => string,
    more: readonly string[],
  ): Promise<string> {
    const path = folderOf(name);
    const whole = join(path, 'model.safetensors');
    const file = await SafetensorsFile.open(whole);
    const sources = [...file.tensors].map(([tensor, { dtype, shape }]): TensorSource => ({
      name: nameOf(tensor),
      dtype,
      shape,
      read: async function* () {
        yield file.read(tensor);
      },
    }));
    const added = more.map((tensor): TensorSource => ({
      name: tensor,
      dtype: 'f32',
      shape: [1],
      read: async function* () {
        yield new Uint8Array(4);
      },
    }));
    const written = join(path, 'written.safetensors');
    await writeSafetensors(written, [...sources, ...added]);
    await file.close();
    cpSync(written, whole);
    rmSync(written);
    return path;
  }

  test('a file of the body alone, with the masks that older ones hold', async () => {
    const ofBody = (tensor: string) => tensor.replace(/^transformer\./, '');
    await expectParameters('gpt2', await rewrittenFolderOf('gpt2', ofBody, ['h.0.attn.bias']));
  });

  test('the first BERTs: other names of norms, and heads that are not used', async () => {
    const firstName = (tensor: string) =>
      tensor.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta');
    const more = ['bert.pooler.dense.weight', 'cls.seq_relationship.bias'];
    await expectParameters('bert', await rewrittenFolderOf('bert', firstName, more));
  });

  test('weights of another task give the body, and the head starts from its initializers', async () => {
    const path = folderOf('roberta');
    const model = loadModel(path, { task: 'sequence-classification', numLabels: 3 });
    await using base = await openBaseModel(path, model);
    const head = ['dense', 'out_proj'].flatMap((part) =>
      ['weight', 'bias'].map((kind) => `classifier.${part}.${kind}`),
    );
    expect(base.newParameters).toEqual(head);
    const plan = planOf(model, dense());
    await using engine = await Engine.open({ device: 'cpu', threads: 1 });
    await engine.load(plan);
    await engine.run('initialize');
    const initial = await engine.read('classifier.dense.weight');
    await base.loadInto(engine, plan);
    expect(await engine.read('classifier.dense.weight')).toEqual(initial);
    const body = readParameters('roberta', loadModel(path));
    for (const { parameter } of model.weights) {
      if (head.includes(parameter)) continue;
      expect(Array.from(await engine.read(parameter))).toEqual(
        Array.from(Float32Array.from(body.get(parameter)!.data)),
      );
    }
  });

  test('what is missing of a body, and a head of other classes, is refused', async () => {
    const path = await rewrittenFolderOf(
      'roberta-classes',
      (name) => name.replace('embeddings.word', 'x'),
      [],
    );
    await expect(openBaseModel(path, loadModel(path, { numLabels: 7 }))).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_MISMATCH',
      details: {
        missing: ['roberta.embeddings.word_embeddings.weight'],
        wrong: [
          'classifier.out_proj.weight: bf16 (5, 16), not (7, 16)',
          'classifier.out_proj.bias: bf16 (5), not (7)',
        ],
        unexpected: ['roberta.x_embeddings.weight'],
      },
    });
  });
});

/** Numbers of the fixture in the order of the graph, read and turned here in plain steps. */
function numbersOf(name: string, { weights }: Model): Map<string, Float32Array> {
  const files = name === 'f32' ? [1, 2, 3, 4].map((i) => `model-0000${i}-of-00004`) : ['model'];
  const found = new Map<string, { shape: number[]; numbers: Float32Array }>();
  for (const file of files) {
    const bytes = readFileSync(join(fixture(name), `${file}.safetensors`));
    const start = 8 + Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
      string,
      { shape: number[]; data_offsets: [number, number] }
    >;
    for (const [tensor, { shape, data_offsets }] of Object.entries(header)) {
      if (tensor === '__metadata__') continue;
      const [begin, end] = data_offsets;
      const data = Uint8Array.from(bytes.subarray(start + begin, start + end));
      found.set(tensor, { shape, numbers: toSingles(data, name as 'f32') });
    }
  }
  return new Map(
    weights.map(({ parameter, tensor, layout }) => {
      const { shape, numbers } = found.get(tensor)!;
      if (layout === 'same') return [parameter, numbers];
      const [rows, columns] = shape as [number, number];
      return [parameter, numbers.map((_, i) => numbers[(i % rows) * columns + Math.floor(i / rows)]!)];
    }),
  );
}

test('the codes are those that the engine makes of the same numbers', async () => {
  const model = llama({
    vocabSize: 11,
    hiddenSize: 48,
    intermediateSize: 51, // rows of NF4 end in half a byte

    numHiddenLayers: 1,
    numAttentionHeads: 2,
  });
  const path = newPath();
  mkdirSync(path);
  const plain = planOf(model, dense());
  await using engine = await Engine.open({ device: 'cpu', threads: 1 });
  await engine.load(plain);
  await engine.run('initialize');
  const sources: TensorSource[] = [];
  for (const { parameter, tensor, layout } of model.weights) {
    const { shape } = plain.values.find(({ name }) => name === parameter)!;
    const numbers = (await engine.read(parameter)) as Float32Array;
    const [rows, columns] = shape as [number, number];
    const isTurned = layout === 'transposed';
    const inFile = isTurned
      ? numbers.map((_, i) => numbers[(i % rows) * columns + Math.floor(i / rows)]!)
      : numbers;
    sources.push({
      name: tensor,
      dtype: 'f32',
      shape: isTurned ? [columns, rows] : shape,
      async *read() {
        yield new Uint8Array(inFile.buffer);
      },
    });
  }
  await writeSafetensors(join(path, 'model.safetensors'), sources);
  await using base = await openBaseModel(path, model);
  for (const method of [dense({ weights: 'int8' }), qlora({ r: 2 })]) {
    const plan = planOf(model, method);
    await engine.load(plan);
    await engine.run('initialize');
    const loaded = new MemoryEngine(plan);
    await base.loadInto(loaded, plan);
    const coded = plan.values.filter(
      ({ name, region }) => region === 'persistent' && /weight\.[a-z]+$/.test(name) && !/expAvg/.test(name),
    );
    expect(coded.length).toBeGreaterThan(10);
    for (const { name } of coded) {
      const right = await engine.read(name);
      expect([name, Buffer.compare(loaded.tensors.get(name)!, Buffer.from(right.buffer))]).toEqual([name, 0]);
    }
  }
});

test('tensors of many pieces arrive whole, as numbers and as codes', async () => {
  const large = 65_600; // times 64 a little more than a piece
  const model = llama({
    vocabSize: large,
    hiddenSize: 64,
    intermediateSize: large,
    numHiddenLayers: 1,
    numAttentionHeads: 1,
  });
  const path = newPath();
  mkdirSync(path);
  const halves = new Uint16Array(large * 64);
  const turned = new Uint16Array(halves.length);
  for (let row = 0, i = 0; row < large; row++)
    for (let column = 0; column < 64; column++, i++)
      turned[column * large + row] = halves[i] = 0x3c00 + ((i * 7919) % 0x2ff);
  const sources = model.weights.map(({ tensor }): TensorSource => {
    const isLarge = /embed|lm_head|gate|up/.test(tensor);
    const shape = isLarge
      ? [large, 64]
      : /norm/.test(tensor)
        ? [64]
        : /down/.test(tensor)
          ? [64, large]
          : [64, 64];
    const length = shape.reduce((a, b) => a * b, 1);
    return {
      name: tensor,
      dtype: 'bf16',
      shape,
      async *read() {
        yield new Uint8Array(halves.buffer, 0, 2 * length);
      },
    };
  });
  await writeSafetensors(join(path, 'model.safetensors'), sources);
  await using base = await openBaseModel(path, model);
  const right = { 'model.embed_tokens.weight': halves, 'model.layers.0.mlp.gate_proj.weight': turned };
  for (const method of [dense(), lora({ r: 2, weights: 'int8', embeddingWeights: 'int8' })]) {
    const plan = planOf(model, method, 'bf16');
    const engine = new MemoryEngine(plan);
    await base.loadInto(engine, plan);
    for (const [name, numbers] of Object.entries(right)) {
      if (method.name === 'dense') {
        expect(Buffer.compare(engine.tensors.get(name)!, Buffer.from(numbers.buffer))).toBe(0);
        continue;
      }
      const { codes, scales } = encodeInt8(toSingles(new Uint8Array(numbers.buffer), 'bf16'));
      expect(Buffer.compare(engine.tensors.get(`${name}.codes`)!, Buffer.from(codes.buffer))).toBe(0);
      expect(Buffer.compare(engine.tensors.get(`${name}.scales`)!, Buffer.from(scales.buffer))).toBe(0);
    }
  }
});

describe('a run', () => {
  test('has the tokenizer of its base model, and its recipe needs no model', () => {
    const recipe = {
      baseModel: fixture('f16'),
      method: 'dense',
      data: 'a.txt',
      batchSize: 1,
      sequenceLength,
      maxSteps: 1,
      learningRate: 1,
    };
    const options = optionsFromRecipe(recipe);
    expect(options.model.describe()).toEqual(loadModel(fixture('f16')).describe());
    expect(options.data.tokenizer).toBe(fixture('f16'));
    const named = optionsFromRecipe({
      ...recipe,
      model: { preset: fixture('f16'), maxPositionEmbeddings: 64 },
      data: { train: 'a.txt', tokenizer: 'bytes' },
    });
    expect(named.model.maxSequenceLength).toBe(64);
    expect(named.data.tokenizer).toBe('bytes');
  });

  test('tells its base model in checkpoints, and goes on without it', async () => {
    const base = newPath();
    cpSync(fixture('bf16'), base, { recursive: true });
    const outputDirectory = newPath();
    const change = { baseModel: base, outputDirectory, resumeFromCheckpoint: 'auto' };
    const told = (step: number): unknown =>
      (
        JSON.parse(readFileSync(join(outputDirectory, `checkpoint-${step}/trainer.json`), 'utf8')) as {
          baseModel: unknown;
        }
      ).baseModel;
    {
      await using trainer = await Trainer.create(runFrom('bf16', { ...change, maxSteps: 1 }));
      await trainer.run();
    }
    expect(told(1)).toEqual({ path: base, dtype: 'bf16' });
    rmSync(base, { recursive: true });
    await using trainer = await Trainer.create(runFrom('bf16', change));
    expect(trainer.step).toBe(1);
    await trainer.run();
    expect(told(3)).toEqual({ path: base, dtype: 'bf16' });
  });

  test('starts from a checkpoint of this package, without its steps and states', async () => {
    const outputDirectory = newPath();
    const first = await Trainer.create(runFrom('f16', { outputDirectory, maxSteps: 2 }));
    const { checkpoint } = await first.run();
    await first.close();
    const { path } = checkpoint!;
    await using second = await Trainer.create(
      runFrom('f16', {
        model: loadModel(path),
        baseModel: path,
        data: { train: textOf(cases['f16']!), validationFraction: 0 },
      }),
    );
    expect(second.step).toBe(0);
    expect(second.data.tokenizer.name).toContain(path);
    // The third step of a run that goes on sees the same weights.
    const { value } = await second[Symbol.asyncIterator]().next();
    await using third = await Trainer.create(
      runFrom('f16', { outputDirectory, maxSteps: 3, resumeFromCheckpoint: 'latest' }),
    );
    const { value: right } = await third[Symbol.asyncIterator]().next();
    expect((value as { loss: number }).loss).toBe((right as { loss: number }).loss);
  });
});

/** A copy of a fixture of one file with other tensors. */
async function changed(change: (sources: Map<string, TensorSource>) => void): Promise<string> {
  const path = newPath();
  cpSync(fixture('f16'), path, { recursive: true });
  await using file = await SafetensorsFile.open(join(fixture('f16'), 'model.safetensors'));
  const sources = new Map<string, TensorSource>();
  for (const [name, { dtype, shape }] of file.tensors) {
    const bytes = await file.read(name);
    sources.set(name, {
      name,
      dtype,
      shape,
      async *read() {
        yield bytes;
      },
    });
  }
  change(sources);
  rmSync(join(path, 'model.safetensors'));
  await writeSafetensors(join(path, 'model.safetensors'), [...sources.values()]);
  return path;
}

const filled = (
  name: string,
  dtype: TensorSource['dtype'],
  shape: number[],
  bytes: number[],
): TensorSource => ({
  name,
  dtype,
  shape,
  async *read() {
    yield Uint8Array.from(bytes);
  },
});
const query = 'model.layers.1.self_attn.q_proj.weight';

describe('refused before a device is looked for:', () => {
  const mismatch = { code: 'ERR_COMPACT_CHECKPOINT_MISMATCH', op: 'baseModel' };
  test.each<[string, () => Promise<string>, object]>([
    [
      'a tensor that is missing',
      () => changed((sources) => sources.delete(query)),
      { ...mismatch, details: { missing: [query], wrong: [], unexpected: [] } },
    ],
    [
      'a head that is missing',
      () => changed((sources) => sources.delete('lm_head.weight')),
      { ...mismatch, remedy: expect.stringContaining('tieWordEmbeddings') },
    ],
    [
      'a tensor that the model has no place for',
      () =>
        changed((sources) => sources.set('b', filled(query.replace('weight', 'bias'), 'f16', [1], [0, 0]))),
      { ...mismatch, received: expect.stringContaining('q_proj.bias') },
    ],
    [
      'adapters',
      () => changed((sources) => sources.set('b', filled('x.lora_A.weight', 'f32', [1], [0, 0, 0, 0]))),
      { ...mismatch, remedy: expect.stringContaining('Merge the adapters') },
    ],
    [
      'a shape that config.json contradicts',
      () =>
        changed((sources) =>
          sources.set('model.norm.weight', filled('model.norm.weight', 'f16', [2], [0, 0, 0, 0])),
        ),
      { ...mismatch, received: expect.stringContaining('model.norm.weight: f16 (2), not (16)') },
    ],
    [
      'a weight in eight bits',
      () =>
        changed((sources) =>
          sources.set(
            query,
            filled(
              query,
              'f8_e4m3',
              [16, 16],
              Array.from({ length: 256 }, () => 0),
            ),
          ),
        ),
      { ...mismatch, received: expect.stringContaining(`${query}: f8_e4m3`) },
    ],
    [
      'a folder without weights',
      async () => {
        const path = newPath();
        mkdirSync(path);
        return path;
      },
      { code: 'ERR_COMPACT_CHECKPOINT_MISSING' },
    ],
  ])('%s', async (_, make, error) => {
    const options = runFrom('f16', { baseModel: await make(), device: 'cuda:15' });
    await expect(Trainer.create(options)).rejects.toMatchObject(error);
  });

  test('a tokenizer with more ids than the model has', async () => {
    const config = JSON.parse(readFileSync(join(fixture('f16'), 'config.json'), 'utf8')) as object;
    const path = await changed((sources) => {
      for (const name of ['lm_head.weight', 'model.embed_tokens.weight'])
        sources.set(
          name,
          filled(
            name,
            'f16',
            [200, 16],
            Array.from({ length: 6400 }, () => 0),
          ),
        );
    });
    writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, vocab_size: 200 }));
    const options = runFrom('f16', { model: loadModel(path), baseModel: path, device: 'cuda:15' });
    await expect(Trainer.create(options)).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
      op: 'tokenizer',
    });
  });

  test('a model of another shape than its weights', async () => {
    const model = loadModel(fixture('f16'), { intermediateSize: 24 });
    await expect(Trainer.create(runFrom('f16', { model, device: 'cuda:15' }))).rejects.toMatchObject(
      mismatch,
    );
  });
});

test('what nobody asks for is passed over', async () => {
  const path = await changed((sources) => {
    sources.set('a', filled('model.position_ids', 'i64', [1], [0, 0, 0, 0, 0, 0, 0, 0]));
    sources.set('b', filled('model.layers.0.self_attn.rotary_emb.inv_freq', 'f32', [1], [0, 0, 0, 0]));
  });
  await using base = await openBaseModel(path, loadModel(path));
  expect(base.dtype).toBe('f16');
});

test('a number that is not finite is refused with its tensor', async () => {
  const path = await changed((sources) => {
    const infinite = Array.from({ length: 16 }, () => [0, 0x7c]).flat();
    sources.set('model.norm.weight', filled('model.norm.weight', 'f16', [16], infinite));
  });
  await expect(Trainer.create(runFrom('f16', { baseModel: path }))).rejects.toMatchObject({
    code: 'ERR_COMPACT_CHECKPOINT_INVALID',
    op: 'model.norm.weight',
    received: 'Infinity',
  });
});
