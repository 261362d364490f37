import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TextStream } from '../../lib/data/index.js';
import { tokenizerFromFiles } from '../../lib/data/huggingface/load.js';

interface TokenizerFixture {
  readonly tokenizer: object;
  readonly cases: readonly { text: string; ids: number[]; special?: number[]; decoded: string }[];
  readonly sequences: readonly { ids: number[]; decoded: string }[];
}

const folder = join(__dirname, '../fixtures/tokenizers');
const fixtures = readdirSync(folder).filter((name) => name.endsWith('.json'));
const read = (name: string): TokenizerFixture =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')) as TokenizerFixture;

describe.each(fixtures)('%s', (name) => {
  const { tokenizer: config, cases, sequences } = read(name);
  const tokenizer = tokenizerFromFiles(name, { 'tokenizer.json': JSON.stringify(config) });

  test('gives the ids of the reference, control tokens as text and as control tokens', () => {
    for (const { text, ids, special = ids } of cases) {
      expect([text, Array.from(tokenizer.encode(text))]).toEqual([text, ids]);
      expect([text, Array.from(tokenizer.encode(text, { splitSpecialTokens: false }))]).toEqual([
        text,
        special,
      ]);
    }
  });

  test('gives the same ids section by section', () => {
    for (const { text, ids, special = ids } of cases) {
      const sections = tokenizer.cut(text);
      expect(sections.map((section) => section.text).join('')).toBe(text);
      const found = sections.flatMap((section) =>
        section.id === undefined ? Array.from(tokenizer.encodeSection(section)) : [section.id],
      );
      expect([text, found]).toEqual([text, special]);
      for (const { id, text: content } of sections)
        if (id !== undefined) expect(content).toContain(tokenizer.controlText(id));
    }
  });

  test('gives the text of the reference', () => {
    for (const { ids, decoded } of [...cases, ...sequences])
      expect([ids, tokenizer.decode(ids)]).toEqual([ids, decoded]);
  });

  test('text that comes token by token is the text, from the start and behind any part of it', () => {
    for (const { text, ids, decoded } of cases) {
      // Bytes that are no UTF-8 change what stood before them, which a stream has told already.
      if (decoded.includes('\uFFFD') && !text.includes('\uFFFD')) continue;
      for (const cut of [0, 1, Math.floor(ids.length / 2)]) {
        const before = tokenizer.decode(ids.slice(0, cut));
        // A context that ends inside of a character has no text of its own to go on from.
        if (before.endsWith('\uFFFD') || !decoded.startsWith(before)) continue;
        const stream = new TextStream(tokenizer, ids.slice(0, cut));
        const pieces = [...ids.slice(cut).map((id) => stream.push(id)), stream.end()];
        expect([ids, before + pieces.join('')]).toEqual([ids, decoded]);
      }
    }
  });
});

describe('the start token', () => {
  const { tokenizer: config } = read('llama2.json');
  const addsBos = (postProcessor: unknown, others: object = {}): boolean =>
    tokenizerFromFiles('llama2', {
      'tokenizer.json': JSON.stringify({ ...config, post_processor: postProcessor }),
      'tokenizer_config.json': JSON.stringify({ bos_token: '<s>', ...others }),
    }).addsBos;
  const adds = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
  };

  test('is added where tokenizer_config.json says so, else where the post-processor adds it', () => {
    expect(addsBos(null)).toBe(false);
    expect(addsBos(adds)).toBe(true);
    expect(addsBos({ type: 'Sequence', processors: [{ type: 'ByteLevel' }, adds] })).toBe(true);
    expect(addsBos(adds, { add_bos_token: false })).toBe(false);
    expect(addsBos(null, { add_bos_token: true })).toBe(true);
    expect(addsBos(adds, { bos_token: undefined })).toBe(false);
    expect(addsBos({ type: 'TemplateProcessing', single: [null] })).toBe(false);
  });
});

describe('texts that used to come out wrong', () => {
  const load = (name: string) =>
    tokenizerFromFiles(name, { 'tokenizer.json': JSON.stringify(read(`${name}.json`).tokenizer) });
  const streamed = (name: string, context: number[], ids: number[]): string[] => {
    const stream = new TextStream(load(name), context);
    return [...ids.map((id) => stream.push(id)), stream.end()];
  };

  test('no space is tidied away', () => {
    const text = "I do n't know , ok";
    const ids = Array.from(load('bytes').encode(text));
    expect(load('bytes').decode(ids)).toBe(text);
    expect(streamed('bytes', [], ids)).toEqual([...Array.from(text), '']);
  });

  test('the space between prompt and continuation stays', () => {
    const [word, b] = [6, 5];
    expect(streamed('sentencepiece-bpe', [word], [word, b])).toEqual([' a', 'b', '']);
  });

  test('Unigram falls back to bytes', () => {
    expect(Array.from(load('sentencepiece-unigram').encode('é a'))).toEqual([3, 0xc3 + 7, 0xa9 + 7, 6]);
  });

  test('a character of several tokens is told when it is whole, bytes that are none at the end', () => {
    const bytes = (text: string): number[] => Array.from(Buffer.from(text), (byte) => byte + 7);
    expect(streamed('sentencepiece-bpe', [4], [...bytes('é€'), 5])).toEqual(['', 'é', '', '', '€', 'b', '']);
    expect(streamed('sentencepiece-bpe', [4], bytes('é').slice(0, 1))).toEqual(['', '\uFFFD']);
    expect(streamed('sentencepiece-bpe', [4], [...bytes('é'), 0xff + 7, 5]).join('')).toBe('é\uFFFDb');
  });
});
