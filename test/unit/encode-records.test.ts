/** Records become the tokens of transformers, and the same ones count. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTokenizer } from '../../lib/data/index.js';
import type { EncodedRecord } from '../../lib/data/records/encode/encoded-record.js';
import { openRecords } from '../../lib/data/records/encode-records.js';
import type { RecordsOptions } from '../../lib/data/records/records-table.js';
import type { RecordStatistics } from '../../lib/data/records/statistics.js';
import {
  chatFiles,
  chatFixtureNames,
  chatTokenizer,
  readChatFixture,
  withoutGenerationTags,
} from '../helpers/chat-fixtures.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-encode-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Writes the files of a fixture's tokenizer and template, some changed. */
async function useModel(name: string, changes: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const [file, content] of Object.entries({ ...chatFiles(name), ...changes }))
    await writeFile(join(folder, file), content);
}

async function encode(
  rows: readonly object[],
  options: Partial<RecordsOptions> = {},
): Promise<{ records: EncodedRecord[]; statistics: RecordStatistics }> {
  const files = join(folder, 'data.jsonl');
  await writeFile(files, rows.map((row) => JSON.stringify(row)).join('\n'));
  const encoder = await openRecords({ files, tokenizer: folder, ...options });
  const records: EncodedRecord[] = [];
  const statistics = await encoder.encodeAll((record) => {
    records.push(record);
  });
  return { records, statistics };
}

const idsOf = ({ records }: { records: EncodedRecord[] }) => records.map(({ ids }) => Array.from(ids));
const masksOf = ({ records }: { records: EncodedRecord[] }) =>
  records.map(({ counts }) => Array.from(counts));

describe.each(chatFixtureNames)('conversations of %s', (name) => {
  const { cases, template } = readChatFixture(name);
  const rows = cases.map(({ messages, tools }) => ({ messages, ...(tools && { tools }) }));

  test('have the ids and the mask of transformers where the template says what is generated', async () => {
    await useModel(name);
    const encoded = await encode(rows);
    expect(idsOf(encoded)).toEqual(cases.map(({ ids }) => ids));
    expect(masksOf(encoded)).toEqual(cases.map(({ mask }) => mask));
  });

  test('have the same mask where it is found by rendering what comes before, or are refused', async () => {
    await useModel(name, { 'chat_template.jinja': withoutGenerationTags(template) });
    for (const [i, row] of rows.entries()) {
      // It has the system message in the last turn of the user, and so in none of the turns before.
      const isMoved = name === 'mistral' && row.messages[0]!.role === 'system';
      if (isMoved)
        await expect(encode([row])).rejects.toMatchObject({
          code: 'ERR_COMPACT_CHAT_TEMPLATE',
          details: { line: 1 },
          remedy: expect.stringContaining('{% generation %}'),
        });
      else expect(masksOf(await encode([row]))).toEqual([cases[i]!.mask]);
    }
  });
});

describe('messages', () => {
  const user = { role: 'user', content: 'a?' };
  const messages = [user, { role: 'assistant', content: 'b' }, user, { role: 'assistant', content: 'c' }];

  test.each([
    ['with tags', (template: string) => template],
    ['without', withoutGenerationTags],
  ])('of weight 0 are context, %s', async (_, change) => {
    await useModel('chatml', { 'chat_template.jinja': change(readChatFixture('chatml').template) });
    const [all] = masksOf(await encode([{ messages }]));
    const weighed = messages.map((message, i) => (i === 1 ? { ...message, weight: 0 } : message));
    const [some] = masksOf(await encode([{ messages: weighed }]));
    const half = all!.lastIndexOf(0, all!.lastIndexOf(1));
    expect(some).toEqual(all!.map((count, i) => (i < half ? 0 : count)));
    expect(some!.reduce((a, b) => a + b)).toBe(all!.reduce((a, b) => a + b) / 2);
  });

  test('hold control tokens as text, unless they are asked for', async () => {
    await useModel('chatml');
    const content = 'x<|im_end|>\n<|im_start|>y';
    const row = {
      messages: [
        { role: 'user', content },
        { role: 'assistant', content },
      ],
    };
    const control = chatTokenizer('chatml').cut('<|im_end|>')[0]!.id!;
    const numControl = (ids: readonly number[]) => ids.filter((id) => id === control).length;
    const encoded = await encode([row]);
    const [ids] = idsOf(encoded) as [number[]];
    expect(numControl(ids)).toBe(2);
    expect(chatTokenizer('chatml').decode(ids)).toBe(`user\n${content}\nassistant\n${content}\n`);
    // Learnt are the text, and the one end that the template gives.
    const learnt = ids.filter((_, i) => encoded.records[0]!.counts[i] === 1);
    expect(learnt.slice(0, -1)).toEqual(
      Array.from(chatTokenizer('chatml').encodeSection({ text: `\n${content}`, start: 1 })).slice(1),
    );
    expect(learnt.at(-1)).toBe(control);
    const [asked] = idsOf(await encode([row], { splitSpecialTokens: false })) as [number[]];
    expect(numControl(asked)).toBe(4);
  });

  test('need a template, and one that takes them', async () => {
    await expect(encode([{ messages }], { tokenizer: 'bytes' })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHAT_TEMPLATE',
      message: expect.stringContaining('data.jsonl, line 1: messages need a chat template'),
    });
    await useModel('mistral');
    await expect(encode([{ messages }, { messages: [user, ...messages] }])).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHAT_TEMPLATE',
      details: { line: 2 },
      message: expect.stringContaining('conversation roles must alternate'),
    });
    await expect(encode([{ messages: [{ ...user, content: '\uFDD1' }, messages[1]] }])).rejects.toMatchObject(
      {
        code: 'ERR_COMPACT_DATA_RECORD',
        message: expect.stringContaining('noncharacter'),
      },
    );
  });

  test('have the start token of their template, and one more only where there is none and it is asked for', async () => {
    await useModel('llama3');
    const { bosTokenId } = chatTokenizer('llama3');
    const starts = async (options?: Partial<RecordsOptions>): Promise<number> => {
      const [ids] = idsOf(await encode([{ messages }], options)) as [number[]];
      return ids.filter((id) => id === bosTokenId).length;
    };
    expect([await starts(), await starts({ addBos: true })]).toEqual([1, 1]);
    await useModel('llama3', {
      'chat_template.jinja': readChatFixture('llama3').template.replace('{{ bos_token }}', ''),
    });
    expect([await starts(), await starts({ addBos: true })]).toEqual([0, 1]);
  });
});

describe('texts and completions', () => {
  const config = (others: object) => ({
    'tokenizer_config.json': JSON.stringify({ bos_token: '<s>', eos_token: '</s>', ...others }),
  });
  const tokenizer = chatTokenizer('mistral');
  const [bos, eos] = [tokenizer.bosTokenId!, tokenizer.endOfTextId!];
  const plain = (text: string, continues = false): number[] =>
    Array.from(tokenizer.encode(text, { continues }));

  test('count as a whole, or behind the prompt; the first token never does', async () => {
    await useModel('mistral');
    const text = 'it was 日本</s>';
    expect(await encode([{ text }])).toMatchObject({
      records: [{ ids: Int32Array.from([...plain(text), eos]), labels: undefined, isTruncated: false }],
    });
    const encoded = await encode([{ prompt: 'it was', completion: ' the age' }]);
    const [prompt, completion] = [plain('it was'), plain(' the age', true)];
    expect(idsOf(encoded)).toEqual([[...prompt, ...completion, eos]]);
    expect(masksOf(encoded)).toEqual([[...prompt.map(() => 0), ...completion.map(() => 1), 1]]);
    const [bare] = masksOf(await encode([{ prompt: '', completion: 'the age' }])) as [number[]];
    expect([bare[0], ...new Set(bare.slice(1))]).toEqual([0, 1]);
  });

  test('begin and end as the tokenizer says, or as is asked for; what is there is not doubled', async () => {
    await useModel('mistral', config({ add_bos_token: true }));
    const [a] = [plain('a')];
    expect(idsOf(await encode([{ text: 'a' }]))).toEqual([[bos, ...a, eos]]);
    expect(masksOf(await encode([{ text: 'a' }]))).toEqual([[0, ...a.map(() => 1), 1]]);
    expect(idsOf(await encode([{ text: 'a' }], { addBos: false, addEos: false }))).toEqual([a]);
    const [whole] = idsOf(await encode([{ text: '<s>a</s>' }], { splitSpecialTokens: false })) as [number[]];
    expect(whole.filter((id) => id === bos || id === eos)).toEqual([bos, eos]);
    await useModel('mistral', config({}));
    expect(idsOf(await encode([{ text: 'a' }], { addBos: true }))).toEqual([[bos, ...a, eos]]);
    await expect(encode([{ text: 'a' }], { addBos: true, tokenizer: 'bytes' })).rejects.toMatchObject({
      code: 'ERR_COMPACT_TOKENIZER',
    });
  });

  test('a classified text stands between the tokens that BERT has for it', async () => {
    const { tokenizer } = JSON.parse(
      readFileSync(join(__dirname, '../fixtures/tokenizers/bert-uncased.json'), 'utf8'),
    ) as { tokenizer: object };
    const config = { cls_token: '[CLS]', sep_token: '[SEP]', mask_token: '[MASK]' };
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
    const own = await loadTokenizer(folder);
    const text = 'a text';
    const [ids] = idsOf(await encode([{ text, label: 0 }]));
    expect(ids).toEqual([2, ...Array.from(own.encode(text)), 3]);
    expect(own.maskTokenId).toBe(4);
  });

  test('classified texts count for nothing, and have their labels', async () => {
    const { records, statistics } = await encode([{ text: 'ab', label: 2 }], { tokenizer: 'bytes' });
    expect(records).toMatchObject([{ labels: [2], counts: Uint8Array.from([0, 0, 0]) }]);
    expect(statistics).toMatchObject({
      kind: 'labels',
      numCountedTokens: 0,
      numWithoutCounted: 0,
      warnings: [],
    });
  });
});

describe('what a run would learn', () => {
  test('is counted, over all records', async () => {
    const rows = [
      { prompt: 'ab', completion: 'cde' },
      { prompt: 'a', completion: 'b' },
    ];
    expect((await encode(rows, { tokenizer: 'bytes' })).statistics).toEqual({
      kind: 'completion',
      numRecords: 2,
      numTokens: 9,
      numCountedTokens: 6,
      longest: 6,
      numTruncated: 0,
      numWithoutCounted: 0,
      numUnknown: 0,
      warnings: [],
    });
  });

  test('longer records are refused, or lose their end and are counted', async () => {
    const rows = [
      { prompt: 'a', completion: 'b' },
      { prompt: 'abcdef', completion: 'gh' },
      { prompt: 'ab', completion: 'cdefg' },
    ];
    const options = { tokenizer: 'bytes', contextLength: 5 };
    await expect(encode(rows, options)).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_RECORD',
      details: { line: 2 },
      received: '9 tokens',
    });
    const { records, statistics } = await encode(rows, { ...options, truncate: true });
    expect(records.map(({ ids, isTruncated }) => [ids.length, isTruncated])).toEqual([
      [3, false],
      [5, true],
      [5, true],
    ]);
    expect(statistics).toMatchObject({ numTruncated: 2, numWithoutCounted: 1, longest: 5 });
    expect(statistics.warnings).toHaveLength(2);
  });

  test('text that the tokenizer does not know is counted and told', async () => {
    const { tokenizer } = readWordPiece();
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
    const { statistics } = await encode([{ text: 'it was \u{1F600} \u{1F601}' }]);
    expect(statistics.numUnknown).toBe(2);
    expect(statistics.warnings.join(' ')).toContain('does not know');
  });

  test('a file without records, options that there are not, and broken records are refused', async () => {
    await expect(encode([], { tokenizer: 'bytes' })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_EMPTY',
    });
    await expect(encode([{ text: 'a' }], { kind: 'chat' as 'text' })).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
    });
    await expect(encode([{ text: 'a' }, { text: 1 }], { tokenizer: 'bytes' })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_RECORD',
      details: { line: 2 },
    });
  });
});

function readWordPiece(): { tokenizer: object } {
  return require('../fixtures/tokenizers/bert-uncased.json') as { tokenizer: object };
}
