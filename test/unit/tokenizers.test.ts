import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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

  test('gives the text of the reference', () => {
    for (const { ids, decoded } of [...cases, ...sequences])
      expect([ids, tokenizer.decode(ids)]).toEqual([ids, decoded]);
  });
});
