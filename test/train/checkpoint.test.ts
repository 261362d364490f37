import { spawnSync } from 'node:child_process';
import { promises } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../lib/compile/index.js';
import type { Plan } from '../../lib/compile/index.js';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { SafetensorsFile, writeSafetensors } from '../../lib/formats/index.js';
import type { Model } from '../../lib/graph/index.js';
import { compact, dense } from '../../lib/methods/index.js';
import type { Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import {
  listCheckpoints,
  pruneCheckpoints,
  resolveCheckpoint,
} from '../../lib/train/checkpoints/checkpoint-folder.js';
import type { CheckpointState } from '../../lib/train/checkpoints/checkpoint-state.js';
import { checkResumable, openCheckpoint, saveCheckpoint } from '../../lib/train/checkpoints/checkpoint.js';
import type { TrainerSettings } from '../../lib/train/options/options.js';
import { MemoryEngine } from '../helpers/memory-engine.js';
import { planTarget } from '../helpers/plan-target.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-checkpoint-'));
});
afterEach(() => rm(folder, { recursive: true }));

const config = {
  vocabSize: 260,
  hiddenSize: 16,
  intermediateSize: 24,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};
const model = llama(config);
const method = compact({ rank: 8 });
const bytes = { tokenizer: byteTokenizer, tokenizerFiles: byteTokenizer.files() };

function planOf(dtype: 'f32' | 'bf16' = 'f32', trained: Model = model, by: Method = method): Plan {
  return compile({ model: trained, method: by, target: planTarget, batchSize: 1, sequenceLength: 8, dtype });
}

function stateOf(step: number): CheckpointState {
  return {
    formatVersion: 2,
    step,
    numSequencesSeen: step,
    numTokensSeen: 8 * step,
    model: model.describe(),
    method: method.describe(),
    training: {
      batchSize: 1,
      gradientAccumulationSteps: 1,
      sequenceLength: 8,
      maxSteps: 10,
      learningRate: 0.1,
      lrSchedulerType: 'linear',
      maxGradNorm: 0,
      dtype: 'f32',
      seed: 42,
    },
    data: { fingerprint: 'text', tokenizer: 'bytes' },
    clocks: { projection: { stepsSinceRefresh: step, firstMomentSteps: step, epoch: 0 } },
    best: { step: 1, metric: 'loss', value: 2.5 },
  };
}

async function save(step: number, plan = planOf(), engine = new MemoryEngine(plan)): Promise<string> {
  const saved = await saveCheckpoint(folder, engine, { plan, model }, bytes, stateOf(step));
  return saved.path;
}

/** Changes the state of a checkpoint. */
const edit = async (path: string, change: (state: Record<string, unknown>) => void): Promise<void> => {
  const file = join(path, 'trainer.json');
  const state = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  change(state);
  await writeFile(file, JSON.stringify(state));
};

describe('checkpoints', () => {
  test.each(['f32', 'bf16'] as const)('%s: every bit of parameters and moments comes back', async (dtype) => {
    const plan = planOf(dtype);
    const engine = new MemoryEngine(plan);
    engine.scramble(1);
    const path = await save(3, plan, engine);
    expect((await readdir(folder)).sort()).toEqual(['checkpoint-3']);
    const other = new MemoryEngine(plan);
    await using checkpoint = await openCheckpoint(path, { plan, model });
    await checkpoint.loadInto(other);
    const kept = plan.values.filter(({ kind }) => kind === 'parameter' || kind === 'optimizerState');
    expect(kept.length).toBeGreaterThan(40);
    const differing = kept.filter(
      ({ name, region }) =>
        region === 'persistent' && Buffer.compare(other.tensors.get(name)!, engine.tensors.get(name)!) !== 0,
    );
    expect(differing).toEqual([]);
    expect(checkpoint.state).toEqual(JSON.parse(JSON.stringify(stateOf(3))));
  });

  test.each(['f32', 'bf16'] as const)(
    '%s: NaN and infinity are neither saved nor loaded, be it in a weight, a norm, a table or a moment',
    async (dtype) => {
      const plan = planOf(dtype);
      const kept = plan.values.filter(
        ({ kind, region }) => region === 'persistent' && (kind === 'parameter' || kind === 'optimizerState'),
      );
      const good = await save(1, plan);
      const whole = new Map<string, Buffer>();
      for (const name of ['model.safetensors', 'optimizer.safetensors'])
        whole.set(name, await readFile(join(good, name)));
      for (const { name, kind, dtype: stored } of kept) {
        const engine = new MemoryEngine(plan);
        const last = stored === 'f32' ? Float32Array.of(NaN) : Uint16Array.of(0xff80);
        engine.tensors
          .get(name)!
          .set(new Uint8Array(last.buffer), engine.tensors.get(name)!.length - last.byteLength);
        await expect(save(2, plan, engine)).rejects.toMatchObject({
          code: 'ERR_COMPACT_NOT_FINITE',
          op: name,
        });
        expect(await readdir(folder)).toEqual(['checkpoint-1']);

        const file = kind === 'parameter' ? 'model.safetensors' : 'optimizer.safetensors';
        await using tensors = await SafetensorsFile.open(join(good, file));
        const { byteOffset, byteLength } = tensors.tensors.get(name)!;
        const damaged = Buffer.from(whole.get(file)!);
        damaged.set(new Uint8Array(last.buffer), byteOffset + byteLength - last.byteLength);
        await writeFile(join(good, file), damaged);
        await using checkpoint = await openCheckpoint(good, { plan, model });
        await expect(checkpoint.loadInto(new MemoryEngine(plan))).rejects.toMatchObject({
          code: 'ERR_COMPACT_CHECKPOINT_INVALID',
          op: name,
        });
        await writeFile(join(good, file), whole.get(file)!);
      }
    },
  );

  test('weights are in the layout of PyTorch: (out_features, in_features), tables as they are', async () => {
    const plan = planOf();
    const engine = new MemoryEngine(plan);
    const down = 'model.layers.1.mlp.down_proj.weight'; // (24, 16) here
    await engine.write(
      down,
      Float32Array.from({ length: 24 * 16 }, (_, i) => i),
    );
    await using file = await SafetensorsFile.open(join(await save(1, plan, engine), 'model.safetensors'));
    expect(file.tensors.get(down)!.shape).toEqual([16, 24]);
    const stored = new Float32Array((await file.read(down)).buffer);
    expect([stored[0], stored[1], stored[24], stored[24 * 15 + 23]]).toEqual([0, 16, 1, 23 * 16 + 15]);
    expect(file.tensors.get('model.embed_tokens.weight')!.shape).toEqual([260, 16]);
    expect(file.tensors.get('lm_head.weight')!.shape).toEqual([260, 16]);
    expect(file.metadata).toEqual({ format: 'pt' });
  });

  test('a tensor may hold several parameters, side by side by their output features, in both directions', async () => {
    const prefix = 'model.layers.1';
    const [gate, up] = [`${prefix}.mlp.gate_proj.weight`, `${prefix}.mlp.up_proj.weight`]; // (16, 24) here
    const norms = [`${prefix}.input_layernorm.weight`, `${prefix}.post_attention_layernorm.weight`]; // (16)
    const groups = [
      ...(['same', 'transposed'] as const).map((layout) => ({
        layout,
        tensor: 'gate_up',
        shape: layout === 'same' ? [16, 48] : [48, 16],
        names: [gate, up],
        width: 24,
      })),
      { layout: 'same', tensor: 'norms', shape: [32], names: norms, width: 16 } as const,
    ];
    for (const [index, { layout, tensor, shape, names, width }] of groups.entries()) {
      const of = 2 * width;
      const weights = model.weights.map((stored) => {
        const place = names.indexOf(stored.parameter);
        return place < 0 ? stored : { ...stored, tensor, layout, part: { first: place * width, of } };
      });
      const plan = planOf();
      const engine = new MemoryEngine(plan);
      engine.scramble(1);
      const subject = { plan, model: { ...model, weights } };
      const { path } = await saveCheckpoint(folder, engine, subject, bytes, stateOf(20 + index));
      await using file = await SafetensorsFile.open(join(path, 'model.safetensors'));
      expect(file.tensors.get(tensor)!.shape).toEqual(shape);
      const whole = new Float32Array((await file.read(tensor)).buffer);
      for (const [place, name] of names.entries()) {
        expect(file.tensors.has(name)).toBe(false);
        const own = new Float32Array(engine.tensors.get(name)!.buffer);
        const rows = own.length / width;
        const expected = own.map((_, at) => {
          const [row, column] = [Math.floor(at / width), place * width + (at % width)];
          return whole[layout === 'transposed' ? column * rows + row : row * of + column]!;
        });
        expect([name, own]).toEqual([name, expected]);
      }
      const other = new MemoryEngine(plan);
      await using checkpoint = await openCheckpoint(path, subject);
      await checkpoint.loadInto(other);
      for (const name of names)
        expect(Buffer.compare(other.tensors.get(name)!, engine.tensors.get(name)!)).toBe(0);
    }
  });

  test('tensors have the names that the weight map of the model gives them, in both directions', async () => {
    const weights = model.weights.map((stored) => ({
      ...stored,
      tensor: stored.tensor.replace('self_attn.q_proj', 'attention.wq'),
    }));
    const renamed = { ...model, weights };
    const plan = planOf();
    const engine = new MemoryEngine(plan);
    engine.scramble(1);
    const subject = { plan, model: renamed };
    const { path } = await saveCheckpoint(folder, engine, subject, bytes, stateOf(1));
    await using file = await SafetensorsFile.open(join(path, 'model.safetensors'));
    expect(file.tensors.has('model.layers.1.attention.wq.weight')).toBe(true);
    expect(file.tensors.has('model.layers.1.self_attn.q_proj.weight')).toBe(false);
    const other = new MemoryEngine(plan);
    await using checkpoint = await openCheckpoint(path, subject);
    await checkpoint.loadInto(other);
    const name = 'model.layers.1.self_attn.q_proj.weight';
    expect(Buffer.compare(other.tensors.get(name)!, engine.tensors.get(name)!)).toBe(0);
    await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_MISMATCH',
    });
  });

  test('a file may hold a tied head once more, in the shape of the table, and need not', async () => {
    const tied = llama({ ...config, tieWordEmbeddings: true });
    const subject = { plan: planOf('f32', tied), model: tied };
    const engine = new MemoryEngine(subject.plan);
    engine.scramble(1);
    const state = { ...stateOf(1), model: tied.describe() };
    const { path } = await saveCheckpoint(folder, engine, subject, bytes, state);
    const file = join(path, 'model.safetensors');
    const [table, head] = ['model.embed_tokens.weight', 'lm_head.weight'] as const;
    const addHead = async (shape: readonly number[]): Promise<void> => {
      await using saved = await SafetensorsFile.open(file);
      const sourceOf = (from: string, change: object = {}) => ({
        name: from,
        ...saved.tensors.get(from)!,
        ...change,
        async *read() {
          yield await saved.read(from);
        },
      });
      const others = [...saved.tensors.keys()].filter((name) => name !== head);
      const sources = [...others.map((name) => sourceOf(name)), sourceOf(table, { name: head, shape })];
      await writeSafetensors(`${file}.new`, sources);
      await rename(`${file}.new`, file);
    };
    await addHead([260, 16]);
    const other = new MemoryEngine(subject.plan);
    await using checkpoint = await openCheckpoint(path, subject);
    await checkpoint.loadInto(other);
    expect(Buffer.compare(other.tensors.get(table)!, engine.tensors.get(table)!)).toBe(0);
    await addHead([16, 260]);
    await expect(openCheckpoint(path, subject)).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_MISMATCH',
      message: expect.stringContaining(head),
    });
  });

  test('a save that fails leaves nothing behind and the older one whole', async () => {
    const plan = planOf();
    const older = await save(1, plan);
    const engine = new MemoryEngine(plan);
    let reads = 0;
    const read = engine.read.bind(engine);
    engine.read = async (name, range) => {
      if (++reads === 30)
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return read(name, range);
    };
    await expect(save(2, plan, engine)).rejects.toMatchObject({ code: 'ERR_COMPACT_CHECKPOINT_WRITE' });
    expect(await readdir(folder)).toEqual(['checkpoint-1']);
    await (await openCheckpoint(older, { plan, model }))[Symbol.asyncDispose]();
  });

  test.each(['model.safetensors', 'optimizer.safetensors', 'trainer.json'])(
    '%s cut at any length is refused with a typed error before anything is loaded',
    async (name) => {
      const plan = planOf();
      const path = await save(1, plan);
      const whole = await readFile(join(path, name));
      const cuts = [0, 1, 7, 8, 9, 100, whole.length >> 1, whole.length - 2];
      for (const length of cuts) {
        await truncate(join(path, name), length);
        await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
          code: 'ERR_COMPACT_CHECKPOINT_TRUNCATED',
        });
        await writeFile(join(path, name), whole);
      }
      await rm(join(path, name));
      await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
        code: 'ERR_COMPACT_CHECKPOINT_MISSING',
      });
    },
  );

  test.each(['model.safetensors', 'trainer.json'])(
    'a pipe in the place of %s is refused, not waited for',
    async (name) => {
      const plan = planOf();
      const path = await save(1, plan);
      await rm(join(path, name));
      if (spawnSync('mkfifo', [join(path, name)]).status !== 0) {
        console.warn('skipped: this system has no named pipes');
        return;
      }
      await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_COMPACT_CHECKPOINT_(INVALID|MISSING)$/),
        message: expect.stringContaining('no regular file'),
      });
    },
  );

  test('one that may not be read is not called missing', async () => {
    const plan = planOf();
    const path = await save(1, plan);
    const { open } = promises;
    for (const name of ['trainer.json', 'model.safetensors', 'optimizer.safetensors']) {
      const spy = jest.spyOn(promises, 'open').mockImplementation(async (file, flags) => {
        if (String(file).endsWith(name)) throw Object.assign(new Error('EACCES: denied'), { code: 'EACCES' });
        return open(file, flags);
      });
      await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
        code: 'ERR_COMPACT_CHECKPOINT_READ',
        message: expect.stringContaining(join(path, name)),
        remedy: expect.stringContaining('right'),
      });
      spy.mockRestore();
    }
  });

  test.each<[string, (state: Record<string, unknown>) => void, string]>([
    ['without a format', (state) => delete state['formatVersion'], 'INVALID'],
    ['with a step that is no number', (state) => (state['step'] = '1'), 'INVALID'],
    ['with a negative position', (state) => (state['numSequencesSeen'] = -1), 'INVALID'],
    ['with clocks that are no mapping', (state) => (state['clocks'] = 1), 'INVALID'],
    [
      'of another model',
      (state) => (state['model'] = { ...(state['model'] as object), hiddenSize: 32 }),
      'MISMATCH',
    ],
  ])('one %s is refused', async (_, change, code) => {
    const plan = planOf();
    const path = await save(1, plan);
    await edit(path, change);
    await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
      code: `ERR_COMPACT_CHECKPOINT_${code}`,
    });
  });

  test.each([
    [3, 'was made by a newer version', /^Update/],
    [1, 'was made by an older version', /^Go on with the version that wrote it.*model\.safetensors/],
  ])('format %d is refused with a word', async (version, what, remedy) => {
    const plan = planOf();
    const path = await save(1, plan);
    await edit(path, (state) => (state['formatVersion'] = version));
    await expect(openCheckpoint(path, { plan, model })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_VERSION',
      message: expect.stringContaining(what),
      remedy: expect.stringMatching(remedy),
    });
  });

  test.each<[string, () => Plan]>([
    ['another dtype', () => planOf('bf16')],
    ['another rank', () => planOf('f32', model, compact({ rank: 4 }))],
    ['another method', () => planOf('f32', model, dense())],
  ])('tensors of %s are refused', async (_, makePlan) => {
    const path = await save(1);
    await expect(openCheckpoint(path, { plan: makePlan(), model })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_MISMATCH',
    });
  });

  test.each<[string, Partial<TrainerSettings>, string]>([
    ['rank', { method: compact({ rank: 4 }) }, 'text'],
    ['seed', { seed: 1 }, 'text'],
    ['sequence length', { sequenceLength: 4 }, 'text'],
    ['corpus', {}, 'other text'],
  ])('a run with another %s cannot go on from it', (_, change, fingerprint) => {
    const settings = { method, seed: 42, sequenceLength: 8, dtype: 'f32', ...change } as TrainerSettings;
    expect(() => checkResumable('here', stateOf(1), settings, fingerprint)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_MISMATCH' }),
    );
  });

  test('what the method counts must be whole, before anything is loaded', () => {
    const settings = { method, seed: 42, sequenceLength: 8, dtype: 'f32' } as TrainerSettings;
    const state = { ...stateOf(1), clocks: { projection: { epoch: 1 } } };
    expect(() => checkResumable('here', state, settings, 'text')).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
    );
    expect(() => checkResumable('here', stateOf(1), settings, 'text')).not.toThrow();
  });
});

describe('output folders', () => {
  test('the latest is the one of the highest step that is whole; other names are not checkpoints', async () => {
    const whole = await save(9);
    await cp(whole, join(folder, 'checkpoint-10'), { recursive: true });
    for (const name of ['checkpoint-x', '.checkpoint-11.1-0123abcd.partial', 'data'])
      await mkdir(join(folder, name));
    // As an interrupted removal or copy leaves it.
    for (const [i, missing] of ['trainer.json', 'model.safetensors', 'optimizer.safetensors'].entries()) {
      await cp(whole, join(folder, `checkpoint-${12 + i}`), { recursive: true });
      await rm(join(folder, `checkpoint-${12 + i}`, missing));
    }
    await writeFile(join(folder, 'checkpoint-15'), 'a file');
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([9, 10]);
    expect(await resolveCheckpoint('latest', folder)).toBe(join(folder, 'checkpoint-10'));
    expect(await resolveCheckpoint('auto', folder)).toBe(join(folder, 'checkpoint-10'));
    expect(await resolveCheckpoint(join(folder, 'checkpoint-9'), folder)).toBe(join(folder, 'checkpoint-9'));
    expect(await resolveCheckpoint('auto', join(folder, 'data'))).toBeUndefined();
    await expect(resolveCheckpoint('latest', join(folder, 'data'))).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_MISSING',
    });
  });

  test('the newest stay, and the best', async () => {
    const whole = await save(1);
    for (const step of [2, 3, 10]) await cp(whole, join(folder, `checkpoint-${step}`), { recursive: true });
    await pruneCheckpoints(folder, 0, undefined);
    expect(await listCheckpoints(folder)).toHaveLength(4);
    await pruneCheckpoints(folder, 2, 1);
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([1, 3, 10]);
    await pruneCheckpoints(folder, 1, undefined);
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([10]);
  });
});
