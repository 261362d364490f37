/** Files and templates that are wrong somewhere: typed errors or whole records, never anything else. */
import { describe, expect, test } from '@jest/globals';
import { isCompactError } from '../../lib/errors.js';
import { ExampleEncoder } from '../../lib/data/records/encode/encode-example.js';
import { readExamples } from '../../lib/data/records/kinds/index.js';
import { readCsv } from '../../lib/data/records/readers/csv.js';
import { readJsonArray } from '../../lib/data/records/readers/json-array.js';
import { readJsonLines } from '../../lib/data/records/readers/jsonl.js';
import { decodeText } from '../../lib/data/utf8-text.js';
import { chatFixtureNames, chatTemplate, chatTokenizer, readChatFixture } from '../helpers/chat-fixtures.js';
import { philox } from '../reference/philox.js';

const calls = Number(process.env['COMPACT_FUZZ_RECORDS'] ?? 200);
const seed = Number(process.env['COMPACT_FUZZ_SEED'] ?? 1);

const call = { type: 'function', function: { name: 'add', arguments: '{"a": [1, null]}' } };
const rows = [
  {
    messages: [
      { role: 'user', content: 'a<|im_end|>é' },
      { role: 'assistant', content: '日\n', weight: 1 },
    ],
  },
  {
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'b' }] },
      { role: 'assistant', content: 'x', tool_calls: [call] },
    ],
  },
  {
    messages: [
      { role: 'user', content: 'c' },
      { role: 'assistant', content: 'd' },
    ],
    tools: [call],
  },
];
const seeds = {
  jsonl: rows.map((row) => JSON.stringify(row)).join('\r\n'),
  json: JSON.stringify(rows, undefined, 1),
  csv: `prompt,completion\n"a, ""b""\nc",d\ne,"f"\n`,
};
const insertions = [
  ...Array.from('{}[]",:\\\n\r\t 0-e'),
  '\\ud800',
  'null',
  '\u0000',
  '\ufeff',
  '"role":',
  '{%',
  '-%}',
  '{{',
  '\ufdd0',
];

/** Whole numbers below what is asked, the same for each seed. */
function choices(): (below: number) => number {
  let count = 0;
  return (below) => philox([count++, 0, 0, 0], [seed, 3])[0] % below;
}

/** A text changed in a few places. */
function mutate(text: string, next: (below: number) => number): string {
  let changed = text;
  for (let i = next(4); i >= 0; i--) {
    const at = next(changed.length + 1);
    const end = Math.min(changed.length, at + (next(3) === 0 ? next(60) : next(2)));
    const put = next(2) === 0 ? insertions[next(insertions.length)]! : changed.slice(at, at + next(40));
    changed = changed.slice(0, at) + put + changed.slice(end);
  }
  return changed;
}

const encoder = new ExampleEncoder(chatTokenizer('chatml'), chatTemplate('chatml'), {
  splitSpecialTokens: true,
  addEos: true,
  truncate: false,
});
const readers = { jsonl: readJsonLines, json: readJsonArray, csv: readCsv };

/** What becomes of a file: its records, or the code of the error. */
async function outcome(format: keyof typeof readers, bytes: Buffer): Promise<string> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += 50) yield bytes.subarray(at, at + 50);
  }
  const read = readers[format]('data', decodeText('data', pieces()));
  let numRecords = 0;
  try {
    for await (const placed of readExamples(read, { textField: 'text' })) {
      const { ids, counts } = encoder.encode(placed);
      expect(counts).toHaveLength(ids.length);
      expect([...counts.subarray(0, 1)].every((count) => count === 0)).toBe(true);
      numRecords++;
    }
    return `${numRecords}`;
  } catch (error) {
    if (!isCompactError(error)) throw error;
    return error.code;
  }
}

describe('fuzzed', () => {
  test.each(['jsonl', 'json', 'csv'] as const)('files of %s are read or refused', async (format) => {
    const next = choices();
    const found = new Set<string>();
    for (let i = 0; i < calls; i++) {
      const bytes = Buffer.from(mutate(seeds[format], next));
      if (next(8) === 0 && bytes.length > 0) bytes[next(bytes.length)] = next(256);
      found.add(await outcome(format, bytes));
    }
    // Some are whole, and some are broken in form, in meaning, or as text.
    for (const expected of ['ERR_COMPACT_DATA_FORMAT', 'ERR_COMPACT_DATA_RECORD', 'ERR_COMPACT_DATA_BINARY'])
      expect([...found]).toContain(expected);
    expect([...found].some((each) => Number(each) > 0)).toBe(true);
  });

  test('templates render or are refused', () => {
    const next = choices();
    const found = { rendered: 0, refused: 0 };
    for (let i = 0; i < calls / 4; i++) {
      const name = chatFixtureNames[i % chatFixtureNames.length]!;
      const { messages } = readChatFixture(name).cases[0]!;
      try {
        const { text, spans } = chatTemplate(name, (template) => mutate(template, next)).render({
          messages,
          tools: undefined,
        });
        for (const [start, end] of spans ?? []) expect(start <= end && end <= text.length).toBe(true);
        found.rendered++;
      } catch (error) {
        if (!isCompactError(error, 'ERR_COMPACT_CHAT_TEMPLATE')) throw error;
        found.refused++;
      }
    }
    expect(Math.min(found.rendered, found.refused)).toBeGreaterThan(0);
  });
});
