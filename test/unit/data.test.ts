import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dataset, ignoreIndex, loadTokenizer } from '../../lib/data/index.js';
import type { Batch, DataOptions } from '../../lib/data/index.js';
import type { DatasetOptions } from '../../lib/data/dataset.js';
import { permutation } from '../../lib/graph/permutation.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-data-'));
});
afterEach(() => rm(folder, { recursive: true }));

const inFolder = (name: string): string => join(folder, name);

async function file(name: string, content: string | Uint8Array): Promise<string> {
  await writeFile(inFolder(name), content);
  return inFolder(name);
}

async function openDataset(data: DataOptions, options: Partial<DatasetOptions> = {}): Promise<Dataset> {
  const prepared = await Dataset.prepare(data, {
    sequenceLength: 4,
    vocabularySize: 300,
    seed: 7,
    ...options,
  });
  return Dataset.open(prepared, inFolder('cache'));
}

const rows = (batch: Batch, length: number): number[][] =>
  Array.from({ length: batch.inputs.tokens!.length / length }, (_, i) => [
    ...batch.inputs.tokens!.subarray(i * length, (i + 1) * length),
    ...batch.inputs.targets!.subarray(i * length, (i + 1) * length),
  ]);

/** Bytes 0.. of a text whose every window is unique, so that a row tells where it came from. */
const counting = (length: number): string =>
  Array.from({ length }, (_, i) => String.fromCodePoint(0x20 + (i % 90))).join('');

/** A tokenizer.json of four tokens, one merge and an end of text. */
const bpe = (extra: Record<string, number> = {}) =>
  JSON.stringify({
    version: '1.0',
    added_tokens: [
      {
        id: 4,
        content: '<end>',
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Fuse' },
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, c: 3, ...extra }, merges: ['a b'], unk_token: null },
  });

const sorted = (list: number[][]): string[] => list.map((row) => row.join()).toSorted();

const temporaryFolders = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('compact-train-'));

describe('permutation', () => {
  test.each([1, 2, 3, 5, 16, 17, 64, 65, 1000, 4097])('is a bijection of %i entries', (size) => {
    const order = permutation(size, 42, 3);
    const seen = Array.from({ length: size }, (_, i) => order(i));
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
  });

  test('differs by seed, by the high half of a seed and by stream, and repeats for equal ones', () => {
    const shuffles = [
      [1, 0],
      [2, 0],
      [1 + 2 ** 32, 0],
      [1, 1],
      [1, 0],
    ].map(([seed, stream]) =>
      Array.from({ length: 40 }, (_, i) => permutation(1000, seed!, stream!)(i)).join(),
    );
    expect(new Set(shuffles).size).toBe(4);
    expect(shuffles[4]).toBe(shuffles[0]);
  });

  test('neighbours are torn apart: displacements are spread as in a random order', () => {
    const size = 4096;
    const order = permutation(size, 9, 0);
    const distances = Array.from({ length: size - 1 }, (_, i) => Math.abs(order(i + 1) - order(i)));
    const mean = distances.reduce((a, b) => a + b, 0) / distances.length;
    // Two uniform draws differ by size / 3 on average; six standard errors of 4095 near-independent pairs is 90.
    expect(Math.abs(mean - size / 3)).toBeLessThan(90);
  });

  test('holds for more entries than memory could', () => {
    const order = permutation(2 ** 45 + 1, 1, 1);
    const seen = new Set(Array.from({ length: 1000 }, (_, i) => order(i)));
    expect(seen.size).toBe(1000);
    expect([...seen].every((index) => Number.isSafeInteger(index) && index >= 0 && index <= 2 ** 45)).toBe(
      true,
    );
  });
});

describe('tokenizers', () => {
  test('bytes: any text comes back; ids are its UTF-8', async () => {
    const tokenizer = await loadTokenizer();
    expect([...(tokenizer.encode('aé€') as Uint8Array)]).toEqual([0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac]);
    expect(tokenizer.decode([0x61, 0xc3, 0xa9, 256])).toBe('aé');
    expect(tokenizer.vocabularySize).toBe(257);
  });

  test('tokenizer.json from a folder, with its end of text', async () => {
    await file('tokenizer.json', bpe());
    await file('tokenizer_config.json', JSON.stringify({ eos_token: { content: '<end>' } }));
    const tokenizer = await loadTokenizer(folder);
    expect([...(tokenizer.encode('abcba') as number[])]).toEqual([2, 3, 1, 0]);
    expect(tokenizer.decode([2, 3, 4])).toBe('abc');
    expect(tokenizer.endOfTextId).toBe(4);
    expect(tokenizer.vocabularySize).toBe(5);
    expect(Object.keys(tokenizer.files())).toEqual(['tokenizer.json', 'tokenizer_config.json']);
  });

  test.each<[string, Record<string, string>]>([
    ['tokenizer_config.json', { 'tokenizer_config.json': '{"eos_token":"<end>"}' }],
    ['special_tokens_map.json', { 'special_tokens_map.json': '{"eos_token":{"content":"<end>"}}' }],
    ['the well-known name of a control token', { 'tokenizer.json': bpe().replace('<end>', '<|endoftext|>') }],
  ])('the end of text is found by %s, and stays in the files that are saved', async (_, files) => {
    for (const [name, text] of Object.entries({ 'tokenizer.json': bpe(), ...files })) await file(name, text);
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.endOfTextId).toBe(4);
    await mkdir(inFolder('saved'));
    for (const [name, text] of Object.entries(tokenizer.files())) await file(`saved/${name}`, text);
    const again = await loadTokenizer(inFolder('saved'));
    expect(again.endOfTextId).toBe(4);
    expect(again.files()).toEqual(tokenizer.files());
  });

  test('saved files add no control tokens to a text: training has none', async () => {
    const template = { type: 'TemplateProcessing', single: [], pair: [], special_tokens: {} };
    const config = {
      ...(JSON.parse(bpe()) as object),
      post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] },
    };
    await file('tokenizer.json', JSON.stringify(config));
    await file(
      'tokenizer_config.json',
      '{"bos_token":"a","add_bos_token":true,"auto_map":{"AutoTokenizer":"x.Y"},"chat_template":"{{x}}"}',
    );
    const files = (await loadTokenizer(folder)).files();
    expect(JSON.parse(files['tokenizer.json']!)).toEqual({
      ...config,
      post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }] },
    });
    expect(JSON.parse(files['tokenizer_config.json']!)).toEqual({
      bos_token: 'a',
      chat_template: '{{x}}',
      tokenizer_class: 'PreTrainedTokenizerFast',
      add_bos_token: false,
      add_eos_token: false,
      clean_up_tokenization_spaces: false,
    });
  });

  const changed = (change: Record<string, unknown>): string =>
    JSON.stringify({ ...(JSON.parse(bpe()) as object), ...change });
  const model = (JSON.parse(bpe()) as { model: object }).model;

  test.each<[string, string, RegExp]>([
    ['ids beyond every vocabulary', bpe({ zebra: 4e8 }), /model\.vocab.*below 16777216/],
    [
      'an unknown kind of pre-tokenizer',
      changed({ pre_tokenizer: { type: 'UnicodeScripts' } }),
      /pre_tokenizer/,
    ],
    ['merges that draw lots', changed({ model: { ...model, dropout: 0.1 } }), /model\.dropout/],
    [
      'a decoder that runs an expression',
      changed({ decoder: { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: '' } }),
      /decoder\.pattern/,
    ],
    [
      'a map of characters that is cut off',
      changed({ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAQAAAAg' } }),
      /precompiled_charsmap is shorter/,
    ],
    ['a merge of unknown tokens', changed({ model: { ...model, merges: ['a z'] } }), /merge 0/],
    [
      'a broken expression',
      changed({
        pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated', invert: false },
      }),
      /./,
    ],
  ])('%s: refused with the part that it is about', async (_, content, received) => {
    const path = await file('tokenizer.json', content);
    await expect(loadTokenizer(path)).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
      received: expect.stringMatching(received),
    });
  });

  test('an end of text that the vocabulary lacks, and a pipe, are refused', async () => {
    await file('tokenizer.json', bpe());
    await file('tokenizer_config.json', '{"eos_token":"<none>"}');
    await expect(loadTokenizer(folder)).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
      received: expect.stringMatching(/eos_token is "<none>"/),
    });
    execFileSync('mkfifo', [inFolder('pipe')]);
    await expect(loadTokenizer(inFolder('pipe'))).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
      received: expect.stringMatching(/a pipe, not a regular file/),
    });
  });

  test('text without any token is refused, not dropped', async () => {
    const tokenizer = await loadTokenizer(await file('tokenizer.json', bpe()));
    expect(() => tokenizer.encode('ab?')).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_TOKENIZER' }));
  });

  test('ids beyond the vocabulary of the model are refused before anything is written', async () => {
    const path = await file('tokenizer.json', bpe({ zebra: 900 }));
    const text = await file('a.txt', 'abcabcabc');
    await expect(
      openDataset({ train: text, tokenizer: path }, { vocabularySize: 512 }),
    ).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
      expected: 'ids below 512',
      received: 'ids up to 900',
    });
    await expect(openDataset({ train: text }, { vocabularySize: 256 })).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
    });
    expect(await readdir(folder)).not.toContain('cache');
  });

  test.each([
    ['absent', undefined],
    ['not JSON', 'nope'],
    ['without a model', '{}'],
  ])('a tokenizer.json that is %s is refused', async (_, content) => {
    const path = content === undefined ? inFolder('none.json') : await file('tokenizer.json', content);
    await expect(loadTokenizer(path)).rejects.toMatchObject({ code: 'ERR_COMPACT_TOKENIZER' });
  });
});

describe('datasets', () => {
  test('sequences are packed: every token but the first is a target once an epoch', async () => {
    const path = await file('a.txt', counting(41));
    await using dataset = await openDataset({ train: path, validationFraction: 0 });
    // 41 bytes and the end of text: 42 tokens hold 10 sequences of 4.
    expect(dataset.numTrainSequences).toBe(10);
    expect(dataset.numValidationSequences).toBe(0);
    const ids = [...Buffer.from(counting(41)), 256];
    const expected = Array.from({ length: 10 }, (_, i) => [
      ...ids.slice(4 * i, 4 * i + 4),
      ...ids.slice(4 * i + 1, 4 * i + 5),
    ]);
    const epoch = rows(await dataset.trainBatch(0, 10), 4);
    expect(sorted(epoch)).toEqual(sorted(expected));
    expect(epoch).not.toEqual(expected);
    const second = rows(await dataset.trainBatch(10, 10), 4);
    expect(sorted(second)).toEqual(sorted(expected));
    expect(second).not.toEqual(epoch);
  });

  test('a batch depends on the number of consumed sequences alone, across epochs and processes', async () => {
    const path = await file('a.txt', counting(200));
    const all: number[][] = [];
    {
      await using dataset = await openDataset({ train: path });
      for (let i = 0; i < 60; i++) all.push(...rows(await dataset.trainBatch(i * 3, 3), 4));
    }
    await using again = await openDataset({ train: path });
    expect(again.numTrainSequences).toBeLessThan(60);
    for (const start of [0, 1, 40, 47, 101])
      expect(rows(await again.trainBatch(start, 7), 4)).toEqual(all.slice(start, start + 7));
    await using other = await openDataset({ train: path }, { seed: 8 });
    expect(rows(await other.trainBatch(0, 20), 4)).not.toEqual(all.slice(0, 20));
  });

  test('held-out sequences are the tail, none is trained on, and rows beyond the end count for nothing', async () => {
    const text = Array.from({ length: 400 }, (_, i) => String.fromCodePoint(0x20 + Math.floor(i / 8))).join(
      '',
    );
    const path = await file('a.txt', text);
    await using dataset = await openDataset({ train: path, validationFraction: 0.1 });
    expect(dataset.numTrainSequences).toBe(90);
    expect(dataset.numValidationSequences).toBe(10);
    const largest = Math.max(...(await dataset.trainBatch(0, 90)).inputs.tokens!);
    const held = await dataset.validationBatch(0, 12);
    expect(Math.min(...held.inputs.tokens!.subarray(0, 40))).toBeGreaterThanOrEqual(largest);
    expect(held.numCountedTokens).toBe(40);
    expect([...held.inputs.targets!.subarray(40)]).toEqual(Array.from({ length: 8 }, () => ignoreIndex));
    expect((await dataset.validationBatch(4, 4, 6)).numCountedTokens).toBe(8);
  });

  test('separate validation files leave the training text whole', async () => {
    const train = await file('a.txt', counting(41));
    const validation = await file('b.txt', counting(21));
    await using dataset = await openDataset({ train, validation });
    expect([dataset.numTrainSequences, dataset.numValidationSequences]).toEqual([10, 5]);
  });

  test('text and JSONL of a folder; documents end with the end of text, also where they are cut', async () => {
    await mkdir(inFolder('corpus/deep'), { recursive: true });
    const long = `${'word '.repeat(30_000)}end`;
    await file('corpus/long.txt', long);
    await file('corpus/deep/some.jsonl', `{"text":"one"}\r\n\n{"text":"two\\u0000é","x":1}`);
    await file('corpus/ignored.md', 'ignored');
    await using dataset = await openDataset({ train: inFolder('corpus') });
    expect(dataset.numTokens).toBe(long.length + 1 + 4 + 7);
  });

  test('extensions have no case, named .json files hold JSON lines, and another key can hold the text', async () => {
    await mkdir(inFolder('corpus'));
    await file('corpus/DATA.JSONL', '{"text":"abcdefgh"}');
    await file('corpus/NOTES.TXT', 'ijkl');
    const named = await file('data.json', '{"body":"mnop"}\n{"body":"qrst"}\n');
    await using folderText = await openDataset({ train: inFolder('corpus') });
    expect(folderText.numTokens).toBe(9 + 5);
    await using namedText = await openDataset({ train: named, textField: 'body', validationFraction: 0 });
    expect(namedText.numTokens).toBe(10);
    const [row] = rows(await namedText.trainBatch(0, 1), 4);
    expect(['mnop', '\0qrs']).toContain(Buffer.from(row!.slice(0, 4)).toString());
  });

  test('the key of the text is part of what the tokenised text is known by', async () => {
    const path = await file('a.jsonl', '{"text":"abcdefghijkl","other":"mnopqrstuvwxyz"}');
    await using text = await openDataset({ train: path });
    await using other = await openDataset({ train: path, textField: 'other' });
    expect([text.numTokens, other.numTokens]).toEqual([13, 15]);
  });

  test('folders are searched without packages, hidden files and what is no text, all of which are told', async () => {
    for (const name of ['corpus/node_modules/x', 'corpus/.git', 'corpus/deep'])
      await mkdir(inFolder(name), { recursive: true });
    await file('corpus/node_modules/x/LICENSE.txt', 'a licence');
    await file('corpus/.git/description.txt', 'a description');
    await file('corpus/.hidden.txt', 'hidden');
    await file('corpus/deep/notes.md', 'notes');
    await file('corpus/deep/a.txt', 'abcdefgh');
    await symlink(inFolder('corpus/deep/a.txt'), inFolder('corpus/link.txt'));
    await symlink(inFolder('corpus'), inFolder('corpus/deep/circle'));
    await using dataset = await openDataset({ train: inFolder('corpus') });
    expect(dataset.numTokens).toBe(18);
    expect(dataset.warnings).toHaveLength(1);
    expect(dataset.warnings[0]).toMatch(/Passed over .*node_modules|and 2 more/);
    const { train } = await Dataset.prepare(
      { train: inFolder('corpus') },
      { sequenceLength: 4, vocabularySize: 300, seed: 7 },
    );
    expect(train.skipped.toSorted()).toEqual(
      ['.git', '.hidden.txt', 'deep/circle', 'deep/notes.md', 'node_modules'].map((name) =>
        inFolder(join('corpus', name)),
      ),
    );
  });

  test('a corpus without held-out text is refused where an evaluation needs some', async () => {
    const train = await file('a.txt', 'abcdef');
    await expect(openDataset({ train }, { needsValidation: true })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_TOO_SHORT',
      expected: 'at least 9 tokens, two sequences',
      received: '7',
    });
    await using dataset = await openDataset({ train });
    expect(dataset.numValidationSequences).toBe(0);
  });

  test('a step that reads the corpus several times is told', async () => {
    const train = await file('a.txt', counting(41));
    await using dataset = await openDataset({ train, validationFraction: 0 }, { sequencesPerStep: 25 });
    expect(dataset.warnings).toEqual([expect.stringMatching(/25 sequences .* 2\.5 times: it holds 10 /)]);
    await using fits = await openDataset({ train, validationFraction: 0 }, { sequencesPerStep: 10 });
    expect(fits.warnings).toEqual([]);
  });

  test('unknown text and a missing end of text are told, from the cache as well', async () => {
    const words = JSON.parse(bpe()) as { model: Record<string, unknown>; added_tokens: unknown[] };
    words.model['unk_token'] = 'c';
    words.added_tokens = [];
    const tokenizer = await file('tokenizer.json', JSON.stringify(words));
    const train = await file('a.txt', 'ab?ab?ab!');
    for (let i = 0; i < 2; i++) {
      await using dataset = await openDataset({ train, tokenizer, validationFraction: 0 });
      expect(dataset.warnings).toEqual([
        expect.stringMatching(/no end of text/),
        expect.stringMatching(/^3 of 6 tokens/),
      ]);
    }
  });

  test('control tokens in a text are text unless asked for', async () => {
    const config = JSON.parse(bpe({ '<': 5, e: 6, n: 7, d: 8, '>': 9 })) as object;
    const tokenizer = await file('tokenizer.json', JSON.stringify(config));
    await file('tokenizer_config.json', JSON.stringify({ eos_token: '<end>' }));
    const train = await file('a.txt', 'c<end>c<end>');
    await using text = await openDataset({ train, tokenizer });
    expect(text.numTokens).toBe(13);
    await using control = await openDataset({ train, tokenizer, splitSpecialTokens: false });
    expect(control.numTokens).toBe(5);
  });

  test('documents that are cut get the tokens of the whole', async () => {
    const { tokenizer: config } = JSON.parse(
      await readFile(join(__dirname, '../fixtures/tokenizers/sentencepiece-bpe.json'), 'utf8'),
    ) as { tokenizer: object };
    const path = await file('tokenizer.json', JSON.stringify(config));
    const text = 'ab a '.repeat(30_000);
    const train = await file('a.txt', text);
    await using dataset = await openDataset({ train, tokenizer: path, validationFraction: 0 });
    const whole = (await loadTokenizer(path)).encode(text);
    expect(dataset.numTokens).toBe(whole.length + 1);
  });

  test('a line of many megabytes takes no more than its size', async () => {
    const train = await file('a.jsonl', JSON.stringify({ text: 'word '.repeat(2_000_000) }));
    await using dataset = await openDataset({ train });
    expect(dataset.numTokens).toBe(10_000_001);
  });

  test('the corpus of the package is every tenth address, unchanged, and real text', async () => {
    const root = join(__dirname, '..', '..');
    const source = join(root, 'node_modules', '@stdlib', 'datasets-sotu', 'data');
    const isText = (name: string): boolean => name.endsWith('.txt');
    const all = (await readdir(source)).filter(isText).sort();
    const packaged = join(root, 'corpora', 'addresses');
    const names = (await readdir(packaged)).filter(isText).sort();
    expect(names).toEqual(all.filter((_, index) => index % 10 === 0));
    for (const name of names)
      expect(await readFile(join(packaged, name), 'latin1')).toBe(
        await readFile(join(source, name), 'latin1'),
      );
    await using dataset = await openDataset({ train: 'addresses' }, { sequenceLength: 256 });
    expect(dataset.numTokens).toBeGreaterThan(900_000);
    const { inputs } = await dataset.trainBatch(0, 4);
    expect(dataset.tokenizer.decode([...inputs.tokens!])).toMatch(/ the /);
  });

  test('the corpus of a package beside this one is real text', async () => {
    await using dataset = await openDataset({ train: 'sotu' }, { sequenceLength: 256 });
    expect(dataset.numTokens).toBeGreaterThan(10_000_000);
    const { inputs } = await dataset.trainBatch(0, 4);
    expect(dataset.tokenizer.decode([...inputs.tokens!])).toMatch(/ the /);
  });

  test('tokenised text is used again, made anew when the file changed or the cache is damaged', async () => {
    const path = await file('a.txt', counting(100));
    await (await openDataset({ train: path })).close();
    const [name] = await readdir(inFolder('cache'));
    const whole = await readFile(inFolder(`cache/${name}`));
    await truncate(inFolder(`cache/${name}`), whole.length - 2);
    await using repaired = await openDataset({ train: path });
    expect(await readFile(inFolder(`cache/${name}`))).toEqual(whole);
    await file('a.txt', counting(101));
    await using changed = await openDataset({ train: path });
    expect(changed.numTokens).toBe(102);
    expect(changed.fingerprint).not.toBe(repaired.fingerprint);
  });

  test('without a folder the tokenised text is temporary', async () => {
    const before = await temporaryFolders();
    const path = await file('a.txt', counting(12_345));
    const options = { sequenceLength: 4, vocabularySize: 257, seed: 1 };
    const dataset = await Dataset.open(await Dataset.prepare({ train: path }, options));
    // Other tests make such folders too: ours is named after this process.
    const mine = (await temporaryFolders()).filter(
      (name) => name.includes(`-${process.pid}-`) && !before.includes(name),
    );
    expect(mine).toHaveLength(1);
    await dataset.close();
    expect(await temporaryFolders()).not.toContain(mine[0]);
  });

  test.each<[string, () => Promise<DataOptions>, object]>([
    ['no such file', async () => ({ train: inFolder('none.txt') }), { code: 'ERR_COMPACT_DATA_READ' }],
    ['an empty list', async () => ({ train: [] }), { code: 'ERR_COMPACT_DATA_EMPTY' }],
    ['an empty file', async () => ({ train: await file('a.txt', '') }), { code: 'ERR_COMPACT_DATA_EMPTY' }],
    ['an empty folder', async () => ({ train: folder }), { code: 'ERR_COMPACT_DATA_EMPTY' }],
    [
      'NUL bytes',
      async () => ({ train: await file('a.txt', `${'a'.repeat(100_000)}\0b`) }),
      { code: 'ERR_COMPACT_DATA_BINARY', received: 'a NUL byte near byte 100000' },
    ],
    [
      'Latin-1',
      async () => ({ train: await file('a.txt', Buffer.from('caf\xe9 noir'.repeat(10), 'latin1')) }),
      { code: 'ERR_COMPACT_DATA_BINARY' },
    ],
    [
      'UTF-8 that ends inside a character',
      async () => ({ train: await file('a.txt', Buffer.from('ab€').subarray(0, 4)) }),
      { code: 'ERR_COMPACT_DATA_BINARY' },
    ],
    [
      'too little text',
      async () => ({ train: await file('a.txt', 'abc') }),
      { code: 'ERR_COMPACT_DATA_TOO_SHORT', received: '4' },
    ],
    [
      'a broken line',
      async () => ({ train: await file('a.jsonl', '{"text":"fine"}\n\n{"text":') }),
      { code: 'ERR_COMPACT_DATA_FORMAT', details: { line: 3 } },
    ],
    [
      'a line without text',
      async () => ({ train: await file('a.jsonl', '{"text":"fine"}\n{"prompt":"x"}') }),
      { code: 'ERR_COMPACT_DATA_FORMAT', details: { line: 2 } },
    ],
    [
      'an array',
      async () => ({ train: await file('a.json', '[{"text":"one"},{"text":"two"}]') }),
      {
        code: 'ERR_COMPACT_DATA_FORMAT',
        received: 'an array',
        remedy: expect.stringMatching(/one object a line/),
      },
    ],
    [
      'an object over several lines',
      async () => ({ train: await file('a.json', '{\n  "text": "one"\n}\n') }),
      {
        code: 'ERR_COMPACT_DATA_FORMAT',
        remedy: expect.stringMatching(/one object a line/),
        details: { line: 1 },
      },
    ],
    [
      'an object without the key',
      async () => ({ train: await file('a.jsonl', '{"id":1,"content":"one"}') }),
      {
        code: 'ERR_COMPACT_DATA_FORMAT',
        expected: 'an object with a string `text`',
        received: 'an object with id, content',
        remedy: expect.stringMatching(/textField: "content"/),
      },
    ],
    [
      'half of a surrogate pair',
      async () => ({ train: await file('a.jsonl', '{"text":"fine"}\n{"text":"a\\ud800b"}') }),
      { code: 'ERR_COMPACT_DATA_FORMAT', received: expect.stringMatching(/surrogate/), details: { line: 2 } },
    ],
    [
      'a pipe',
      async () => {
        execFileSync('mkfifo', [inFolder('pipe')]);
        return { train: inFolder('pipe') };
      },
      { code: 'ERR_COMPACT_DATA_READ', received: expect.stringMatching(/a pipe, not a regular file/) },
    ],
    ['a device', async () => ({ train: '/dev/zero' }), { code: 'ERR_COMPACT_DATA_READ' }],
    [
      'a line that is null',
      async () => ({ train: await file('a.jsonl', 'null') }),
      { code: 'ERR_COMPACT_DATA_FORMAT', details: { line: 1 } },
    ],
  ])('%s is refused, and no tokenised text stays', async (_, make, error) => {
    await expect(make().then((data) => openDataset(data))).rejects.toMatchObject(error);
    const left = await readdir(inFolder('cache')).catch(() => []);
    expect(left.filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
