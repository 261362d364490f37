/**
 * Files of a model that come from anywhere, cut, doubled and overwritten at random places: a safetensors file, an index of
 * shards, a config.json, adapters' words, a file of llama2.c and its tokenizer. Each is opened, or refused with a typed error; nothing takes more memory than the file warrants.
 * `scripts/fuzz-inputs.cjs` runs it with more of them.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { tokenizerFromFiles } from '../../lib/data/huggingface/load.js';
import { isCompactError } from '../../lib/errors.js';
import { openWeights, writeSafetensors } from '../../lib/formats/index.js';
import { llama } from '../../lib/models/index.js';
import { openBaseModel } from '../../lib/train/weights/base-model.js';
import { loadModel } from '../../lib/train/index.js';
import { llama2cTokenizerFiles } from '../../lib/train/interchange/llama2c/tokenizer-file.js';
import { openModelSource } from '../../lib/train/interchange/model-source.js';
import { openAdapterFolder } from '../../lib/train/interchange/peft-adapters.js';

jest.setTimeout(3_600_000);
const total = Number(process.env['COMPACT_FUZZ_INPUTS'] ?? 300);
const firstSeed = Number(process.env['COMPACT_FUZZ_SEED'] ?? 1);
const fixtures = join(__dirname, '../fixtures');
const mostBytes = 64 * 2 ** 20;

const shape = { vocabSize: 9, hiddenSize: 16, intermediateSize: 4, numHiddenLayers: 1, numAttentionHeads: 2 };
const model = llama(shape);
let root: string;
let folder: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'compact-fuzz-'));
  folder = join(root, 'model');
  mkdirSync(folder);
  const small = ['a', 'b', 'c'].map((name, i) => ({
    name,
    dtype: 'f32' as const,
    shape: [i, 2],
    async *read() {
      yield new Uint8Array(8 * i);
    },
  }));
  await writeSafetensors(join(root, 'whole.safetensors'), small, { format: 'pt' });
  await writeSafetensors(join(folder, 'x-1.safetensors'), small.slice(0, 2));
  await writeSafetensors(join(folder, 'x-2.safetensors'), small.slice(2));
});
afterAll(() => rmSync(root, { recursive: true }));

/** Numbers from 0 to below a bound, the same for the same seed (Knuth's multiplier). */
function generator(seed: number): (bound: number) => number {
  let state = BigInt(seed);
  return (bound) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & (2n ** 64n - 1n);
    return Number((state >> 33n) % BigInt(bound));
  };
}

/** What breaks readers: ends, numbers at their limits, names of their own, deep and unfinished things. */
const pieces = [
  ...['{', '}', '[', ']', '"', ':', ',', '\\', '\0', ' ', '\ufeff', '\ud800', '..', '/', 'x-2.safetensors'],
  ...[
    'null',
    'true',
    '-1',
    '0.5',
    '1e309',
    '9007199254740993',
    '4294967296',
    '1e-400',
    '""',
    '{}',
    '[]',
    '"a":',
  ],
  ...['__proto__', '__metadata__', 'data_offsets', 'constructor', 'F16', 'I64', 'F4', '[1,1,1,1]', '\\u0061'],
  ...['['.repeat(50_000), '{"a":'.repeat(50_000), '1'.repeat(400)],
].map((text) => Buffer.from(text));

function broken(bytes: Buffer, random: (bound: number) => number): Buffer {
  let result = bytes;
  for (let change = random(3); change >= 0; change--) {
    const at = random(result.length + 1);
    const end = Math.min(result.length, at + random(24));
    const [before, cut, after] = [result.subarray(0, at), result.subarray(at, end), result.subarray(end)];
    const piece = pieces[random(pieces.length)]!;
    const noise = Buffer.from(cut).map(() => random(256));
    const choices = [[before], [before, after], [before, cut, cut, after], [before, piece, cut, after]];
    result = Buffer.concat([...choices, [before, piece, after], [before, noise, after]][random(6)]!);
  }
  return result;
}

/** A file of which every other one has the length of its header set right again, so that the JSON is read. */
function brokenFile(random: (bound: number) => number): string {
  const whole = readFileSync(join(root, 'whole.safetensors'));
  const bytes = broken(whole, random);
  if (random(2) === 0 && bytes.length > 8) {
    const end = bytes.lastIndexOf('}') + 1;
    bytes.writeBigUInt64LE(BigInt(Math.max(0, end - 8)));
  }
  const path = join(root, 'broken.safetensors');
  writeFileSync(path, bytes);
  return path;
}

const index = {
  metadata: { total_size: 24 },
  weight_map: { a: 'x-1.safetensors', b: 'x-1.safetensors', c: 'x-2.safetensors' },
};

const subjects: Readonly<Record<string, (random: (bound: number) => number) => Promise<void>>> = {
  async 'a safetensors file'(random) {
    await using file = await openWeights(brokenFile(random));
    for (const [name, { byteLength }] of file.tensors)
      await file.readInto(name, new Uint8Array(byteLength), 0);
  },
  async 'an index of shards'(random) {
    writeFileSync(
      join(folder, 'model.safetensors.index.json'),
      broken(Buffer.from(JSON.stringify(index)), random),
    );
    await using files = await openWeights(folder);
    for (const [name, { byteLength }] of files.tensors)
      await files.readInto(name, new Uint8Array(byteLength), 0);
  },
  async 'a config.json'(random) {
    const config = JSON.stringify(model.pretrainedConfig('f32'));
    writeFileSync(join(folder, 'config.json'), broken(Buffer.from(config), random));
    const found = loadModel(folder);
    await using _ = await openBaseModel(join(root, 'whole.safetensors'), found);
  },
  async 'an adapter_config.json'(random) {
    const adapters = join(root, 'adapters');
    cpSync(join(fixtures, 'peft/plain'), adapters, { recursive: true });
    const config = readFileSync(join(adapters, 'adapter_config.json'));
    writeFileSync(join(adapters, 'adapter_config.json'), broken(config, random));
    await using _ = await openAdapterFolder(adapters, loadModel(join(fixtures, 'pretrained/f32')), 'adapter');
  },
  async 'a file of llama2.c'(random) {
    const numbers = Int32Array.of(...[16, 4, 1, 2, 2, 9, 8], ...Array<number>(1472).fill(0));
    const path = join(root, 'model.bin');
    writeFileSync(path, broken(Buffer.from(numbers.buffer), random));
    await using _ = await openModelSource({ checkpoint: path });
  },
  async 'a tokenizer.bin'(random) {
    const tokens = ['<unk>', '<s>', '</s>', ...Array.from({ length: 256 }, byteToken), 'a', 'b', 'ab'];
    const parts = tokens.flatMap((token) => [Buffer.alloc(8), Buffer.from(token)]);
    for (const [i, token] of tokens.entries()) parts[2 * i]!.writeInt32LE(token.length, 4);
    const path = join(root, 'tokenizer.bin');
    writeFileSync(path, broken(Buffer.concat([Buffer.alloc(4), ...parts]), random));
    const files = await llama2cTokenizerFiles(path, tokens.length);
    const texts = [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('utf8')]);
    tokenizerFromFiles(path, Object.fromEntries(texts) as Record<string, string>);
  },
};

const byteToken = (_: unknown, byte: number): string =>
  `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** Bytes held by JavaScript, garbage included: what one call adds is what it took, unless a collection ran in it. */
function bytesHeld(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test.each(Object.entries(subjects))('%s', async (_, open) => {
  let [numRefused, numOpened, mostTaken] = [0, 0, 0];
  for (let seed = firstSeed; seed < firstSeed + total / 3; seed++) {
    const before = bytesHeld();
    try {
      await open(generator(seed));
      numOpened++;
    } catch (error) {
      if (!isCompactError(error)) throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      numRefused++;
    }
    mostTaken = Math.max(mostTaken, bytesHeld() - before);
  }
  expect(numRefused).toBeGreaterThan(numOpened / 100);
  expect(mostTaken).toBeLessThan(mostBytes);
});
