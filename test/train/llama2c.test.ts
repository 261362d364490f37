/** Files of llama2.c, written here as its sources write them, are the same model and the same tokenizer. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadTokenizer } from '../../lib/data/index.js';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { llama } from '../../lib/models/index.js';
import { exportModel, loadModel } from '../../lib/train/index.js';
import { readJson } from '../helpers/fixtures.js';
import { writeModelFolder } from '../helpers/model-folder.js';
import { makeFolder } from '../helpers/tiny-run.js';

const { folder } = makeFolder();
let numPaths = 0;
const newPath = (): string => join(folder, `made-${numPaths++}`);
const [dim, hidden, layers, heads, kvHeads, vocab, length] = [16, 24, 2, 2, 1, 498, 40] as const;
const headSize = dim / heads;

type Tensors = ReadonlyMap<string, Float32Array>;

async function tensorsOf(path: string): Promise<Tensors> {
  await using file = await SafetensorsFile.open(join(path, 'model.safetensors'));
  const names = [...file.tensors.keys()];
  const read = async (name: string) => [name, new Float32Array((await file.read(name)).buffer)] as const;
  return new Map(await Promise.all(names.map(read)));
}

/** Rows of a head: the first of each pair beside its second. */
function interleaved(weight: Float32Array): Float32Array {
  const result = weight.slice();
  for (let row = 0; row < weight.length / dim; row++) {
    const within = row % headSize;
    const from = row - within + (within % 2) * (headSize / 2) + (within >> 1);
    result.set(weight.subarray(from * dim, (from + 1) * dim), row * dim);
  }
  return result;
}

/** As export.py writes a model. */
function writeFile(version: 0 | 1, tensors: Tensors): string {
  const path = `${newPath()}.bin`;
  const isTied = !tensors.has('lm_head.weight');
  const ofLayers = (module: string): Float32Array[] =>
    Array.from({ length: layers }, (_, layer) => {
      const weight = tensors.get(`model.layers.${layer}.${module}.weight`)!;
      return /[qk]_proj/.test(module) ? interleaved(weight) : weight;
    });
  const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].flatMap((name) => ofLayers(`self_attn.${name}`));
  const mlp = ['gate_proj', 'down_proj', 'up_proj'].flatMap((name) => ofLayers(`mlp.${name}`));
  const [norms, mlpNorms] = [ofLayers('input_layernorm'), ofLayers('post_attention_layernorm')];
  const table = tensors.get('model.embed_tokens.weight')!;
  const lastNorm = tensors.get('model.norm.weight')!;
  const head = isTied ? [] : [tensors.get('lm_head.weight')!];
  const rope = new Float32Array(length * headSize).fill(NaN);
  const header = Buffer.alloc(version === 0 ? 28 : 256);
  const sizes = [dim, hidden, layers, heads, kvHeads, version === 1 || isTied ? vocab : -vocab, length];
  sizes.forEach((size, i) => header.writeInt32LE(size, (version === 0 ? 0 : 8) + 4 * i));
  if (version === 1) {
    header.writeUInt32LE(0x616b3432, 0);
    header.writeInt32LE(1, 4);
    header.writeUInt8(isTied ? 1 : 0, 36);
  }
  const weights =
    version === 0
      ? [table, ...norms, ...attention, ...mlpNorms, ...mlp, lastNorm, rope, ...head]
      : [...norms, ...mlpNorms, lastNorm, table, ...attention, ...mlp, ...head];
  writeFileSync(path, Buffer.concat([header, ...weights.map(({ buffer }) => Buffer.from(buffer))]));
  return path;
}

const modelOf = (tieWordEmbeddings: boolean) =>
  llama({
    ...{ vocabSize: vocab, hiddenSize: dim, intermediateSize: hidden, numHiddenLayers: layers },
    ...{ numAttentionHeads: heads, numKeyValueHeads: kvHeads, maxPositionEmbeddings: length },
    ...{ rmsNormEps: 1e-5, tieWordEmbeddings },
  });

test.each([
  [0, true],
  [0, false],
  [1, true],
  [1, false],
] as const)('version %i, tied: %s', async (version, isTied) => {
  const right = await tensorsOf(await writeModelFolder(newPath(), modelOf(isTied), {}));
  const exported = newPath();
  const report = await exportModel({ checkpoint: writeFile(version, right), folder: exported });
  expect(report.dtype).toBe('f32');
  const found = await tensorsOf(exported);
  expect([...found.keys()].sort()).toEqual([...right.keys()].sort());
  for (const [name, numbers] of right) expect([name, found.get(name)]).toEqual([name, numbers]);
  expect(loadModel(exported).describe()).toEqual(modelOf(isTied).describe());
});

interface Recorded {
  readonly tokenizer: {
    readonly model: { readonly vocab: Record<string, number>; readonly merges: string[][] };
  };
  readonly cases: readonly { readonly text: string; readonly ids: number[]; readonly decoded: string }[];
}

/** The recorded tokenizer as tokenizer.py writes one. */
function writeTokenizer(): string {
  const { vocab, merges } = (readJson('tokenizers/llama2.json') as Recorded).tokenizer.model;
  const rankOf = new Map<string, number>();
  for (const [rank, pair] of merges.entries()) {
    const token = pair.join('');
    if (!rankOf.has(token)) rankOf.set(token, rank);
  }
  const parts = [Buffer.alloc(4)];
  for (const [token] of Object.entries(vocab).sort((a, b) => a[1] - b[1])) {
    const special = token === '<s>' || token === '</s>';
    const bytes = Buffer.from(special ? `\n${token}\n` : token.replaceAll('▁', ' '));
    const start = Buffer.alloc(8);
    start.writeFloatLE(-(rankOf.get(token) ?? 1e6), 0);
    start.writeInt32LE(bytes.length, 4);
    parts.push(start, bytes);
  }
  const path = `${newPath()}.bin`;
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

describe('with a tokenizer', () => {
  const exported = newPath();
  beforeAll(async () => {
    const tensors = await tensorsOf(await writeModelFolder(newPath(), modelOf(true), {}));
    const checkpoint = writeFile(1, tensors);
    await exportModel({ checkpoint, folder: exported, tokenizer: writeTokenizer() });
  });

  test('texts have the ids of the reference, and ids its texts', async () => {
    const tokenizer = await loadTokenizer(exported);
    for (const { text, ids, decoded } of (readJson('tokenizers/llama2.json') as Recorded).cases) {
      expect([text, Array.from(tokenizer.encode(text))]).toEqual([text, ids]);
      expect([ids, tokenizer.decode(ids)]).toEqual([ids, decoded]);
    }
  });

  test('a text begins with the start token, and it ends one that is generated', async () => {
    const { bosTokenId, endOfTextId, addsBos } = await loadTokenizer(exported);
    expect([bosTokenId, endOfTextId, addsBos]).toEqual([1, 2, true]);
    const read = (name: string): unknown => JSON.parse(readFileSync(join(exported, name), 'utf8'));
    expect(read('generation_config.json')).toEqual({ bos_token_id: 1, eos_token_id: [1, 2] });
    expect(read('config.json')).toMatchObject({ bos_token_id: 1, eos_token_id: 2 });
  });
});

describe('is refused, and nothing is left behind', () => {
  let [right, tokenizer] = ['', ''];
  beforeAll(async () => {
    right = writeFile(1, await tensorsOf(await writeModelFolder(newPath(), modelOf(true), {})));
    tokenizer = writeTokenizer();
  });
  /** The file with other bytes at a place, or cut. */
  const changed = (path: string, at: number, bytes: Uint8Array, end?: number): string => {
    const content = readFileSync(path).subarray(0, end);
    content.set(bytes, at);
    const made = `${newPath()}.bin`;
    writeFileSync(made, content);
    return made;
  };
  const convert = (checkpoint: string, tokenizer?: string) =>
    exportModel({ checkpoint, folder: join(folder, 'x'), tokenizer });
  const none = new Uint8Array();

  test.each<[string, () => Promise<unknown>, object]>([
    [
      'a file that was cut',
      () => convert(changed(right, 0, none, 999)),
      { code: 'ERR_COMPACT_CHECKPOINT_TRUNCATED', received: '999' },
    ],
    [
      'another size',
      () => convert(changed(right, 8, Uint8Array.of(8))),
      { code: 'ERR_COMPACT_CHECKPOINT_INVALID', op: 'checkpoint' },
    ],
    [
      'no layers',
      () => convert(changed(right, 16, Uint8Array.of(0))),
      { code: 'ERR_COMPACT_CHECKPOINT_INVALID', received: 'no header that is known' },
    ],
    [
      'version 2, which is in codes',
      () => convert(changed(right, 4, Uint8Array.of(2))),
      { code: 'ERR_COMPACT_CHECKPOINT_INVALID' },
    ],
    [
      'a pickle',
      () => convert(changed(right, 0, Buffer.from('PK\x03\x04'))),
      { code: 'ERR_COMPACT_CHECKPOINT_INVALID', received: expect.stringMatching(/\.bin$/) },
    ],
    ['a text', () => convert(join(folder, 'text.txt')), { code: 'ERR_COMPACT_CHECKPOINT_INVALID' }],
    [
      'a tokenizer of another model',
      () => convert(right, changed(tokenizer, 0, none, 5000)),
      { code: 'ERR_COMPACT_TOKENIZER', expected: '498 tokens' },
    ],
    [
      'a tokenizer without bytes',
      () => convert(right, changed(tokenizer, 4 + 3 * 8 + 5 + 5 + 6 + 8, Buffer.from('x'))),
      { code: 'ERR_COMPACT_TOKENIZER', expected: '<0x00>' },
    ],
    [
      'a tokenizer of a model that has one',
      () => convert(join(__dirname, '../fixtures/pretrained/f16'), tokenizer),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'tokenizer' },
    ],
  ])('%s', async (_, run, error) => {
    await expect(run()).rejects.toMatchObject(error);
    expect(existsSync(join(folder, 'x'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
