import { cached } from './cached.js';
import type { SubwordModel } from './model.js';
import type { UnigramConfig } from './schema.js';
import { byteFallback, noBytes, unknownText } from './unknown-text.js';

/** How much less likely than the least likely token an unknown letter is. */
const unknownPenalty = 10;

interface TrieNode {
  id: number;
  readonly next: Map<number, TrieNode>;
}

/**
 * The likeliest way to cut a piece into tokens (Kudo 2018), by dynamic programming over where tokens end. Letters
 * without a token are unknown; neighbours among them are one unknown, or their bytes.
 *
 * @throws SyntaxError for a token for unknown text that is not in the vocabulary
 */
export function unigramModel(config: UnigramConfig): SubwordModel {
  const vocabulary = new Map(config.vocab.map(([token], id) => [token, id]));
  const scores = Float64Array.from(config.vocab, ([, score]) => score);
  const unknownId = config.unk_id ?? undefined;
  if (unknownId !== undefined && unknownId >= scores.length)
    throw new SyntaxError(`unk_id ${unknownId} is not in the vocabulary`);
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) - unknownPenalty;
  const bytesOf = config.byte_fallback === true ? byteFallback(vocabulary) : noBytes;
  const trie = makeTrie(vocabulary);

  /** Where the token that ends at each place starts on the likeliest way there; -1 - start for an unknown letter. */
  function bestStarts(piece: string): Int32Array {
    const starts = new Int32Array(piece.length + 1);
    const best = new Float64Array(piece.length + 1).fill(-Infinity);
    best[0] = 0;
    for (let start = 0; start < piece.length;) {
      const letterEnd = start + (piece.codePointAt(start)! > 0xffff ? 2 : 1);
      let isLetterKnown = false;
      let node: TrieNode | undefined = trie;
      for (let end = start; end < piece.length;) {
        node = node.next.get(piece.charCodeAt(end++));
        if (node === undefined) break;
        if (node.id < 0) continue;
        const score = best[start]! + scores[node.id]!;
        if (best[end] === -Infinity || score > best[end]!) {
          best[end] = score;
          // The token for unknown text, spelled out in a text, is unknown like the letters around it.
          starts[end] = node.id === unknownId ? -1 - start : start;
        }
        if (end === letterEnd) isLetterKnown = true;
      }
      const score = best[start]! + unknownScore;
      if (!isLetterKnown && (best[letterEnd] === -Infinity || score > best[letterEnd]!)) {
        best[letterEnd] = score;
        starts[letterEnd] = -1 - start;
      }
      start = letterEnd;
    }
    return starts;
  }

  function idsOf(token: string): readonly number[] {
    const id = vocabulary.get(token);
    if (id !== undefined) return [id];
    const ids = bytesOf(token) ?? (unknownId === undefined ? undefined : [unknownId]);
    if (ids === undefined) throw unknownText(token);
    return ids;
  }

  return {
    vocabulary,
    unknownId,
    encode: cached((piece): readonly number[] => {
      const starts = bestStarts(piece);
      const tokens: string[] = [];
      let unknownEnd: number | undefined;
      for (let end = piece.length; end > 0;) {
        const isUnknown = starts[end]! < 0;
        const start = isUnknown ? -1 - starts[end]! : starts[end]!;
        if (isUnknown) {
          if (unknownEnd === undefined) unknownEnd = end;
          else tokens.pop();
          tokens.push(piece.slice(start, unknownEnd));
        } else {
          tokens.push(piece.slice(start, end));
          unknownEnd = undefined;
        }
        end = start;
      }
      return tokens.toReversed().flatMap(idsOf);
    }),
  };
}

function makeTrie(vocabulary: ReadonlyMap<string, number>): TrieNode {
  const root: TrieNode = { id: -1, next: new Map() };
  for (const [token, id] of vocabulary) {
    let node = root;
    for (let i = 0; i < token.length; i++) {
      const unit = token.charCodeAt(i);
      let next = node.next.get(unit);
      if (next === undefined) node.next.set(unit, (next = { id: -1, next: new Map() }));
      node = next;
    }
    node.id = token === '' ? -1 : id;
  }
  return root;
}
