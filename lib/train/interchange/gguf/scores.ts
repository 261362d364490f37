import { unknownTokenizer, type TokenizerJson } from './tokenizer-json.js';

/**
 * Scores of sentencepiece from the ranks of merges: llama.cpp merges the pair whose token has the highest score, where a
 * tokenizer.json lists pairs from the first to merge to the last. All pairs that make one token stand together there, as
 * they do when the list was made of scores, so minus the rank of a token's first pair is in their order.
 * @throws ERR_COMPACT_TOKENIZER for merges that no scores can tell
 */
export function scoresOf({ model }: TokenizerJson, tokens: readonly string[]): readonly number[] {
  const rankOf = new Map<string, number>();
  let latest: string | undefined;
  for (const [rank, merge] of model.merges.entries()) {
    const token = (typeof merge === 'string' ? merge.split(' ') : merge).join('');
    if (token !== latest && rankOf.has(token))
      throw unknownTokenizer('model.merges', 'all merges to one token one after the other', token);
    if (token !== latest) rankOf.set(token, rank);
    latest = token;
  }
  // Characters are no merges, so theirs are never asked for.
  return tokens.map((token) => -(rankOf.get(token) ?? model.merges.length));
}
