// tokenizer.bin of llama2.c (tokenizer.py there): the length of the longest token, then for each token its score and its
// bytes. The ids are sentencepiece's: 0 unknown, 1 the start of a text, 2 its end, then the 256 bytes. A space stands for the
// letter that sentencepiece has for it. Pairs are merged by the score of what they make, the highest first.
import { readFile, stat } from 'node:fs/promises';
import { compactError } from '../../../errors.js';
import { onPath } from '../../../formats/index.js';

interface Piece {
  readonly text: string;
  readonly score: number;
}

const space = '▁';
/** Ids of a model's control tokens. */
export const llama2cControlTokens = { bos: 1, eos: 2 } as const;
const control = ['<unk>', '<s>', '</s>'] as const;
const firstPiece = control.length + 256;
const maxBytes = 64 * 2 ** 20;

/**
 * The files of the same tokenizer in the words of Hugging Face's.
 * @param vocabularySize of the model: tokens that the file holds
 * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_TOKENIZER
 */
export async function llama2cTokenizerFiles(
  path: string,
  vocabularySize: number,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const bytes = await onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
    const status = await stat(path);
    if (!status.isFile() || status.size > maxBytes) throw unusable(path, 'no regular file of its size');
    return readFile(path);
  });
  const pieces = readPieces(path, bytes, vocabularySize);
  const vocab = new Map(pieces.map(({ text }, id) => [text, id]));
  if (vocab.size < pieces.length) throw unusable(path, 'a token that occurs twice');
  const texts = {
    'tokenizer.json': tokenizerJson(vocab, mergesOf(pieces, vocab)),
    'tokenizer_config.json': tokenizerConfig,
    // Texts stand one behind the other in training, each behind a start of text, so that is what ends one.
    'generation_config.json': { bos_token_id: 1, eos_token_id: [1, 2] },
  };
  return new Map(
    Object.entries(texts).map(([name, value]) => [name, Buffer.from(`${JSON.stringify(value)}\n`)]),
  );
}

function readPieces(path: string, bytes: Buffer, count: number): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 4;
  while (pieces.length < count && at + 8 <= bytes.length) {
    const score = bytes.readFloatLE(at);
    const length = bytes.readInt32LE(at + 4);
    const end = at + 8 + length;
    if (length < 0 || end > bytes.length || !Number.isFinite(score)) break;
    const text = bytes.toString('utf8', at + 8, end).replaceAll(' ', space);
    pieces.push({ text: control[pieces.length] ?? text, score });
    at = end;
  }
  if (pieces.length < count || at !== bytes.length)
    throw unusable(path, `${pieces.length} tokens in ${at} of ${bytes.length} bytes`, `${count} tokens`);
  const isByte = (id: number): boolean => pieces[id]?.text === byteToken(id - control.length);
  for (let id = control.length; id < firstPiece; id++)
    if (!isByte(id)) throw unusable(path, `${pieces[id]?.text} as id ${id}`, byteToken(id - control.length));
  return pieces;
}

const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** Every way to make a token of two others, in the order of scores. */
function mergesOf(pieces: readonly Piece[], vocab: ReadonlyMap<string, number>): [string, string][] {
  const isPiece = (text: string): boolean => (vocab.get(text) ?? 0) >= firstPiece;
  return pieces
    .slice(firstPiece)
    .toSorted((a, b) => b.score - a.score)
    .flatMap(({ text }) => {
      const letters = Array.from(text);
      return letters.slice(1).flatMap((_, i): [string, string][] => {
        const [left, right] = [letters.slice(0, i + 1).join(''), letters.slice(i + 1).join('')];
        return isPiece(left) && isPiece(right) ? [[left, right]] : [];
      });
    });
}

const tokenizerConfig = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  bos_token: '<s>',
  eos_token: '</s>',
  unk_token: '<unk>',
  add_bos_token: true,
  add_eos_token: false,
  clean_up_tokenization_spaces: false,
};

const sequence = (id: 'A' | 'B', type_id: number) => ({ Sequence: { id, type_id } });
const start = { SpecialToken: { id: '<s>', type_id: 0 } };

const tokenizerJson = (vocab: ReadonlyMap<string, number>, merges: [string, string][]) => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: control.map((content, id) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  })),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: space },
      { type: 'Replace', pattern: { String: ' ' }, content: space },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: 'TemplateProcessing',
    single: [start, sequence('A', 0)],
    pair: [start, sequence('A', 0), sequence('B', 1)],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: space }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: '<unk>',
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: true,
    ignore_merges: false,
    vocab: Object.fromEntries(vocab),
    merges,
  },
});

const unusable = (path: string, received: string, expected = 'a tokenizer.bin of llama2.c'): Error =>
  compactError('ERR_COMPACT_TOKENIZER', `${path} is not the tokenizer of the model`, {
    op: 'tokenizer',
    expected,
    received,
    remedy: 'Name the tokenizer.bin that the model was trained with',
  });
