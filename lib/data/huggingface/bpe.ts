import { cached } from './cached.js';
import { borderCutter } from './merge-borders.js';
import { MergeQueue } from './merge-queue.js';
import type { SubwordModel } from './model.js';
import type { BpeConfig } from './schema.js';
import { byteFallback, noBytes, unknownText } from './unknown-text.js';

/**
 * Byte pair encoding (Sennrich et al. 2016): the letters of a word, of which the pair of lowest rank is merged, the
 * leftmost first, until no pair is left that a merge knows.
 *
 * @throws SyntaxError for a merge of, or to, a token that is not in the vocabulary
 */
export function bpeModel(config: BpeConfig): SubwordModel {
  const vocabulary = new Map(Object.entries(config.vocab));
  const { ranks, mergedIds, merged } = readMerges(config, vocabulary);
  const bytesOf = config.byte_fallback === true ? byteFallback(vocabulary) : noBytes;
  const unknownId = typeof config.unk_token === 'string' ? vocabulary.get(config.unk_token) : undefined;
  const prefix = config.continuing_subword_prefix ?? '';
  const suffix = config.end_of_word_suffix ?? '';

  function symbolsOf(word: string): number[] {
    const letters = Array.from(word);
    const ids: number[] = [];
    let isAfterUnknown = false;
    for (const [i, letter] of letters.entries()) {
      const token = `${i > 0 ? prefix : ''}${letter}${i === letters.length - 1 ? suffix : ''}`;
      const id = vocabulary.get(token);
      const known = id === undefined ? bytesOf(token) : [id];
      if (known !== undefined) ids.push(...known);
      else if (unknownId === undefined) throw unknownText(letter);
      else if (!(isAfterUnknown && config.fuse_unk === true)) ids.push(unknownId);
      isAfterUnknown = known === undefined;
    }
    return ids;
  }

  function merge(ids: number[]): number[] {
    const next = Int32Array.from(ids, (_, i) => (i + 1 < ids.length ? i + 1 : -1));
    const previous = Int32Array.from(ids, (_, i) => i - 1);
    const queue = new MergeQueue();
    const offer = (at: number): void => {
      if (at < 0 || next[at]! < 0) return;
      const rank = ranks[ids[at]!]?.get(ids[next[at]!]!);
      if (rank !== undefined) queue.push(rank, at);
    };
    for (let at = 0; at < ids.length; at++) offer(at);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const { rank, position: at } = best;
      const right = next[at]!;
      // Entries of pairs that are gone stay in the queue: they no longer merge to this.
      if (ids[at]! < 0 || right < 0) continue;
      const now = ranks[ids[at]!]?.get(ids[right]!);
      if (now === undefined || mergedIds[now] !== mergedIds[rank]) continue;
      ids[at] = mergedIds[rank]!;
      ids[right] = -1;
      const after = next[right]!;
      next[at] = after;
      if (after >= 0) previous[after] = at;
      offer(previous[at]!);
      offer(at);
    }
    return ids.filter((id) => id >= 0);
  }

  const encodePart = cached((part): readonly number[] => merge(symbolsOf(part)));
  // Letters at the ends of a word are tokens of their own there.
  const cut =
    prefix === '' && suffix === '' ? borderCutter(merged, (letter) => vocabulary.has(letter)) : undefined;

  function encodeWord(word: string): readonly number[] {
    const whole = config.ignore_merges === true ? vocabulary.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const parts = cut?.(word) ?? [word];
    return parts.length === 1 ? encodePart(word) : parts.flatMap(encodePart);
  }

  return { vocabulary, unknownId, encode: cached(encodeWord) };
}

/** Ranks by left and right id, what each rank merges to, and the tokens that merges make. */
function readMerges(
  config: BpeConfig,
  vocabulary: ReadonlyMap<string, number>,
): {
  readonly ranks: readonly (ReadonlyMap<number, number> | undefined)[];
  readonly mergedIds: Int32Array;
  readonly merged: readonly string[];
} {
  const skipped = config.continuing_subword_prefix?.length ?? 0;
  const ranks: (Map<number, number> | undefined)[] = [];
  const mergedIds = new Int32Array(config.merges.length);
  const merged: string[] = [];
  for (const [rank, merge] of config.merges.entries()) {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left = '', right = ''] = pair;
    merged.push(left + right.slice(skipped));
    const ids = [left, right, merged.at(-1)!].map((token) => vocabulary.get(token));
    if (pair.length !== 2 || ids.includes(undefined))
      throw new SyntaxError(`merge ${rank} (${JSON.stringify(merge)}) is not of tokens of the vocabulary`);
    (ranks[ids[0]!] ??= new Map()).set(ids[1]!, rank);
    mergedIds[rank] = ids[2]!;
  }
  return { ranks, mergedIds, merged };
}
