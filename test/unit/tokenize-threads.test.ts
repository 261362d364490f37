import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as source from '../../lib/data/index.js';
import type { DataOptions } from '../../lib/data/index.js';
import type { TokenizeControl } from '../../lib/data/tokenize.js';

// Threads run JavaScript files: those of the built package.
const builtFile = join(__dirname, '../../dist/data/index.js');
if (!existsSync(builtFile)) throw new Error('dist/ is missing: run npm run build');
const built = createRequire(__filename)(builtFile) as typeof source;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-threads-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function file(name: string, content: string): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

/** A tokenizer of the fixtures; `change` replaces parts of its tokenizer.json. */
async function tokenizer(fixture: string, change: object = {}): Promise<string> {
  const text = await readFile(join(__dirname, `../fixtures/tokenizers/${fixture}.json`), 'utf8');
  const { tokenizer: config } = JSON.parse(text) as { tokenizer: object };
  return file('tokenizer.json', JSON.stringify({ ...config, ...change }));
}

async function open(
  { Dataset }: typeof source,
  data: DataOptions,
  cache: string,
  control?: TokenizeControl,
): Promise<{ numTokens: number; fingerprint: string }> {
  const prepared = await Dataset.prepare(data, { sequenceLength: 16, vocabularySize: 2000, seed: 1 });
  const dataset = await Dataset.open(prepared, join(folder, cache), control);
  const { numTokens, fingerprint } = dataset;
  await dataset.close();
  return { numTokens, fingerprint };
}

/** Its expressions take a time that doubles with every letter. */
const runaway = {
  pre_tokenizer: { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false },
};

test('tokens are the same with any number of threads, and with none', async () => {
  const lines = Array.from({ length: 12_000 }, (_, i) =>
    JSON.stringify({ text: `It was the ${i}th of times, naïve 日本 ${'wisdom '.repeat(i % 35)}` }),
  );
  const data = { train: await file('a.jsonl', lines.join('\n')), tokenizer: await tokenizer('llama3') };
  const expected = await open(source, data, 'none');
  for (const threads of [1, 3]) {
    const told: { doneBytes: number; totalBytes: number }[] = [];
    const control = { threads, onProgress: (progress: (typeof told)[number]) => told.push(progress) };
    expect(await open(built, data, `threads-${threads}`, control)).toEqual(expected);
    const { size } = await stat(data.train);
    expect(told.at(-1)).toEqual({ doneBytes: size, totalBytes: size });
    expect(told.filter(({ doneBytes }) => doneBytes === size)).toHaveLength(1);
    expect(told.map(({ doneBytes }) => doneBytes)).toEqual(
      told.map(({ doneBytes }) => doneBytes).toSorted((a, b) => a - b),
    );
  }
});

test('an expression that runs away in a prompt is ended, too', async () => {
  const tame = await source.loadTokenizer(await tokenizer('llama3'));
  expect(Array.from(source.encodeBounded(tame, 'It was'))).toEqual(Array.from(tame.encode('It was')));
  const wild = await source.loadTokenizer(await tokenizer('split-contiguous', runaway));
  expect(() => source.encodeBounded(wild, `${'a'.repeat(60)}b`, {}, 100)).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_TOKENIZER' }),
  );
});

test('a signal ends an expression that runs away, and nothing is left behind', async () => {
  const data = {
    train: await file('a.txt', `${'a'.repeat(60)}b`),
    tokenizer: await tokenizer('split-contiguous', runaway),
  };
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 300);
  await expect(open(built, data, 'cache', { signal: controller.signal })).rejects.toMatchObject({
    code: 'ERR_COMPACT_ABORTED',
  });
  expect(await readdir(folder)).not.toContain('cache');
});

test('a signal that came before ends it before it begins', async () => {
  const train = await file('a.txt', 'abc'.repeat(100));
  for (const name of ['split-contiguous', 'bytes'])
    await expect(
      open(built, { train, tokenizer: await tokenizer(name, runaway) }, 'cache', {
        signal: AbortSignal.abort(),
      }),
    ).rejects.toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
});

test('what a thread refuses has its code and remedy', async () => {
  const model = { type: 'BPE', vocab: { a: 0 }, merges: [] };
  const pre_tokenizer = { type: 'Split', pattern: { Regex: 'a' }, behavior: 'Isolated', invert: false };
  const data = {
    train: await file('a.txt', 'ab'),
    tokenizer: await tokenizer('bytes', { model, pre_tokenizer, added_tokens: [] }),
  };
  await expect(open(built, data, 'cache')).rejects.toMatchObject({
    code: 'ERR_COMPACT_TOKENIZER',
    received: '"b"',
    remedy: expect.stringMatching(/byte fallback/),
  });
});
