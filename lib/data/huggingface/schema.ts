import * as v from 'valibot';

/*
 * The part of tokenizer.json that is understood, in the words of the reference implementation (the Rust crate
 * `tokenizers`), with its defaults. What is not here is refused by name; unknown keys are ignored, as the reference does.
 */

/** Ids are array indices: a larger one would make arrays of gigabytes. No published vocabulary reaches a million. */
const maxVocabularySize = 2 ** 24;

const isId = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < maxVocabularySize;
const id = v.custom<number>(isId, `an id is a whole number below ${maxVocabularySize}`);

const literal = v.object({ String: v.pipe(v.string(), v.nonEmpty()) });
const pattern = v.union([literal, v.object({ Regex: v.string() })]);
export type PatternConfig = v.InferOutput<typeof pattern>;

const behavior = v.picklist(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
export type SplitBehavior = v.InferOutput<typeof behavior>;

const prependScheme = v.picklist(['always', 'never', 'first']);

const simpleNormalizers = [
  v.object({ type: v.literal('NFC') }),
  v.object({ type: v.literal('NFD') }),
  v.object({ type: v.literal('NFKC') }),
  v.object({ type: v.literal('NFKD') }),
  v.object({ type: v.literal('Lowercase') }),
  v.object({ type: v.literal('StripAccents') }),
  v.object({ type: v.literal('Strip'), strip_left: v.boolean(), strip_right: v.boolean() }),
  v.object({ type: v.literal('Prepend'), prepend: v.string() }),
  v.object({ type: v.literal('Replace'), pattern, content: v.string() }),
  v.object({ type: v.literal('Precompiled'), precompiled_charsmap: v.string() }),
  v.object({
    type: v.literal('BertNormalizer'),
    clean_text: v.boolean(),
    handle_chinese_chars: v.boolean(),
    strip_accents: v.nullish(v.boolean()),
    lowercase: v.boolean(),
  }),
] as const;
export type NormalizerConfig =
  v.InferOutput<(typeof simpleNormalizers)[number]> | { type: 'Sequence'; normalizers: NormalizerConfig[] };
const normalizer: v.GenericSchema<unknown, NormalizerConfig> = v.lazy(() =>
  v.variant('type', [
    ...simpleNormalizers,
    v.object({ type: v.literal('Sequence'), normalizers: v.array(normalizer) }),
  ]),
);

const simplePreTokenizers = [
  v.object({
    type: v.literal('ByteLevel'),
    add_prefix_space: v.boolean(),
    use_regex: v.optional(v.boolean(), true),
  }),
  v.object({ type: v.literal('Split'), pattern, behavior, invert: v.boolean() }),
  v.object({ type: v.literal('Digits'), individual_digits: v.optional(v.boolean(), false) }),
  v.object({ type: v.literal('Punctuation'), behavior: v.optional(behavior, 'Isolated') }),
  v.object({ type: v.literal('Whitespace') }),
  v.object({ type: v.literal('WhitespaceSplit') }),
  v.object({ type: v.literal('BertPreTokenizer') }),
  v.object({
    type: v.literal('Metaspace'),
    replacement: v.string(),
    prepend_scheme: v.optional(prependScheme, 'always'),
    split: v.optional(v.boolean(), true),
    // Of older files; false there says what 'never' says today.
    add_prefix_space: v.optional(v.literal(true)),
  }),
] as const;
export type PreTokenizerConfig =
  | v.InferOutput<(typeof simplePreTokenizers)[number]>
  | { type: 'Sequence'; pretokenizers: PreTokenizerConfig[] };
const preTokenizer: v.GenericSchema<unknown, PreTokenizerConfig> = v.lazy(() =>
  v.variant('type', [
    ...simplePreTokenizers,
    v.object({ type: v.literal('Sequence'), pretokenizers: v.array(preTokenizer) }),
  ]),
);

const simpleDecoders = [
  v.object({ type: v.literal('ByteLevel') }),
  v.object({ type: v.literal('ByteFallback') }),
  v.object({ type: v.literal('Fuse') }),
  // No expressions: text is decoded where none that runs away could be stopped.
  v.object({ type: v.literal('Replace'), pattern: literal, content: v.string() }),
  v.object({ type: v.literal('Strip'), content: v.string(), start: v.number(), stop: v.number() }),
  v.object({ type: v.literal('WordPiece'), prefix: v.string(), cleanup: v.boolean() }),
  v.object({ type: v.literal('BPEDecoder'), suffix: v.string() }),
  v.object({
    type: v.literal('Metaspace'),
    replacement: v.string(),
    prepend_scheme: v.optional(prependScheme, 'always'),
  }),
] as const;
export type DecoderConfig =
  v.InferOutput<(typeof simpleDecoders)[number]> | { type: 'Sequence'; decoders: DecoderConfig[] };
const decoder: v.GenericSchema<unknown, DecoderConfig> = v.lazy(() =>
  v.variant('type', [
    ...simpleDecoders,
    v.object({ type: v.literal('Sequence'), decoders: v.array(decoder) }),
  ]),
);

// Left as JSON.parse made it: a copy would lose a token that is called __proto__, and takes long for 250,000 tokens.
const vocabulary = v.custom<Readonly<Record<string, number>>>(
  (value) => typeof value === 'object' && value !== null && Object.values(value).every(isId),
  `ids are whole numbers below ${maxVocabularySize}`,
);
const isPair = (value: unknown, second: 'string' | 'number'): boolean =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === second;
const merges = v.custom<readonly (string | readonly [string, string])[]>(
  (value) =>
    Array.isArray(value) && value.every((merge) => typeof merge === 'string' || isPair(merge, 'string')),
  'merges are of two tokens each',
);
const scoredVocabulary = v.custom<readonly (readonly [string, number])[]>(
  (value) =>
    Array.isArray(value) &&
    value.length <= maxVocabularySize &&
    value.every((entry) => isPair(entry, 'number')),
  'a list of tokens with their scores',
);
const bpe = v.object({
  type: v.literal('BPE'),
  vocab: vocabulary,
  merges,
  unk_token: v.nullish(v.string()),
  fuse_unk: v.nullish(v.boolean()),
  byte_fallback: v.nullish(v.boolean()),
  ignore_merges: v.nullish(v.boolean()),
  continuing_subword_prefix: v.nullish(v.string()),
  end_of_word_suffix: v.nullish(v.string()),
  // Draws other tokens every time.
  dropout: v.nullish(v.literal(0)),
});
export type BpeConfig = v.InferOutput<typeof bpe>;
const unigram = v.object({
  type: v.literal('Unigram'),
  vocab: scoredVocabulary,
  unk_id: v.nullish(id),
  byte_fallback: v.nullish(v.boolean()),
});
export type UnigramConfig = v.InferOutput<typeof unigram>;
const wordPiece = v.object({
  type: v.literal('WordPiece'),
  vocab: vocabulary,
  unk_token: v.string(),
  continuing_subword_prefix: v.string(),
  max_input_chars_per_word: v.pipe(v.number(), v.integer(), v.minValue(1)),
});
export type WordPieceConfig = v.InferOutput<typeof wordPiece>;

const addedToken = v.object({
  id,
  content: v.string(),
  single_word: v.boolean(),
  lstrip: v.boolean(),
  rstrip: v.boolean(),
  normalized: v.boolean(),
  special: v.boolean(),
});
export type AddedTokenConfig = v.InferOutput<typeof addedToken>;

export const tokenizerSchema = v.object({
  added_tokens: v.optional(v.array(addedToken), []),
  normalizer: v.nullish(normalizer),
  pre_tokenizer: v.nullish(preTokenizer),
  decoder: v.nullish(decoder),
  // Older files do not name the model's type; its keys do.
  model: v.pipe(v.unknown(), v.transform(nameModel), v.variant('type', [bpe, unigram, wordPiece])),
});
export type TokenizerConfig = v.InferOutput<typeof tokenizerSchema>;

function nameModel(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || 'type' in model) return model;
  if ('merges' in model) return { ...model, type: 'BPE' };
  if ('vocab' in model) return { ...model, type: Array.isArray(model.vocab) ? 'Unigram' : 'WordPiece' };
  return model;
}
