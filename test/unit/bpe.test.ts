/** Byte pair encoding against its definition, word by word: the pair of lowest rank, the leftmost first, until none is left. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { bpeModel } from '../../lib/data/huggingface/bpe.js';
import type { BpeConfig } from '../../lib/data/huggingface/schema.js';

const unknown = '<unk>';
/** 'z' is no token; the last two need two UTF-16 units, and one of them is a token. */
const letters = ['a', 'b', 'c', '▁', 'é', '😀', 'z', '😁'];

/** Vocabularies of some letters with merges of what there is by then. */
const configs: fc.Arbitrary<BpeConfig> = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 12 }),
    fc.boolean(),
    fc.boolean(),
    fc.constantFrom('', '##'),
  )
  .map(([pairs, fusesUnknown, ignoresMerges, prefix]) => {
    const tokens = [unknown, ...letters.slice(0, 6)];
    if (prefix !== '') tokens.push(...letters.slice(0, 6).map((letter) => prefix + letter));
    const merges: [string, string][] = [];
    for (const [i, j] of pairs) {
      const right = tokens.slice(1).filter((token) => prefix === '' || token.startsWith(prefix));
      const pair: [string, string] = [tokens[1 + (i % (tokens.length - 1))]!, right[j % right.length]!];
      if (merges.some((merge) => merge.join() === pair.join())) continue;
      merges.push(pair);
      const merged = pair[0] + pair[1].slice(prefix.length);
      if (!tokens.includes(merged)) tokens.push(merged);
    }
    return {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
      unk_token: unknown,
      continuing_subword_prefix: prefix,
      fuse_unk: fusesUnknown,
      ignore_merges: ignoresMerges,
    };
  });

function encodeByDefinition(config: BpeConfig, word: string): number[] {
  const { vocab, fuse_unk: fusesUnknown } = config;
  if (config.ignore_merges === true && vocab[word] !== undefined) return [vocab[word]];
  const prefix = config.continuing_subword_prefix ?? '';
  let tokens: (string | undefined)[] = Array.from(word, (letter, i) => (i > 0 ? prefix : '') + letter).map(
    (token) => (token in vocab ? token : undefined),
  );
  if (fusesUnknown === true)
    tokens = tokens.filter((token, i) => token !== undefined || i === 0 || tokens[i - 1] !== undefined);
  for (;;) {
    const pairs = tokens.slice(1).map((right, i) => [tokens[i], right].join('\0'));
    const found = (config.merges as [string, string][]).map((merge) => pairs.indexOf(merge.join('\0')));
    const rank = found.findIndex((at) => at >= 0);
    if (rank < 0) return tokens.map((token) => vocab[token ?? unknown]!);
    const [left, right] = config.merges[rank] as [string, string];
    tokens.splice(found[rank]!, 2, left + right.slice(prefix.length));
  }
}

test('short words and long texts become the tokens that merges make of them', () => {
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 12 }),
    fc.array(fc.constantFrom(...letters), { minLength: 60, maxLength: 150 }),
  );
  fc.assert(
    fc.property(configs, fc.array(texts, { minLength: 1, maxLength: 3 }), (config, words) => {
      const model = bpeModel(config);
      for (const word of words.map((some) => some.join('')))
        expect([word, model.encode(word)]).toEqual([word, encodeByDefinition(config, word)]);
    }),
    { numRuns: 400, seed: 1 },
  );
});
