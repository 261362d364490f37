import { z } from 'zod';

/*
 * The part of tokenizer.json that is understood, in the words of the reference implementation (the Rust crate
 * `tokenizers`), with its defaults. What is not here is refused by name; unknown keys are ignored, as the reference does.
 */

/** Ids are array indices: a larger one would make arrays of gigabytes. No published vocabulary reaches a million. */
export const maxVocabularySize = 2 ** 24;

const id = z
  .number()
  .int()
  .min(0)
  .max(maxVocabularySize - 1);

const pattern = z.union([z.object({ String: z.string().min(1) }), z.object({ Regex: z.string() })]);
export type PatternConfig = z.infer<typeof pattern>;

const behavior = z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
export type SplitBehavior = z.infer<typeof behavior>;

const prependScheme = z.enum(['always', 'never', 'first']);

const simpleNormalizers = [
  z.object({ type: z.literal('NFC') }),
  z.object({ type: z.literal('NFD') }),
  z.object({ type: z.literal('NFKC') }),
  z.object({ type: z.literal('NFKD') }),
  z.object({ type: z.literal('Lowercase') }),
  z.object({ type: z.literal('StripAccents') }),
  z.object({ type: z.literal('Strip'), strip_left: z.boolean(), strip_right: z.boolean() }),
  z.object({ type: z.literal('Prepend'), prepend: z.string() }),
  z.object({ type: z.literal('Replace'), pattern, content: z.string() }),
  z.object({
    type: z.literal('BertNormalizer'),
    clean_text: z.boolean(),
    handle_chinese_chars: z.boolean(),
    strip_accents: z.boolean().nullish(),
    lowercase: z.boolean(),
  }),
] as const;
export type NormalizerConfig =
  z.infer<(typeof simpleNormalizers)[number]> | { type: 'Sequence'; normalizers: NormalizerConfig[] };
const normalizer: z.ZodType<NormalizerConfig> = z.lazy(() =>
  z.discriminatedUnion('type', [
    ...simpleNormalizers,
    z.object({ type: z.literal('Sequence'), normalizers: z.array(normalizer) }),
  ]),
);

const simplePreTokenizers = [
  z.object({
    type: z.literal('ByteLevel'),
    add_prefix_space: z.boolean(),
    use_regex: z.boolean().default(true),
  }),
  z.object({ type: z.literal('Split'), pattern, behavior, invert: z.boolean() }),
  z.object({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) }),
  z.object({ type: z.literal('Punctuation'), behavior: behavior.default('Isolated') }),
  z.object({ type: z.literal('Whitespace') }),
  z.object({ type: z.literal('WhitespaceSplit') }),
  z.object({ type: z.literal('BertPreTokenizer') }),
  z.object({
    type: z.literal('Metaspace'),
    replacement: z.string(),
    prepend_scheme: prependScheme.default('always'),
    split: z.boolean().default(true),
    // Of older files; false there says what 'never' says today.
    add_prefix_space: z.literal(true).optional(),
  }),
] as const;
export type PreTokenizerConfig =
  z.infer<(typeof simplePreTokenizers)[number]> | { type: 'Sequence'; pretokenizers: PreTokenizerConfig[] };
const preTokenizer: z.ZodType<PreTokenizerConfig> = z.lazy(() =>
  z.discriminatedUnion('type', [
    ...simplePreTokenizers,
    z.object({ type: z.literal('Sequence'), pretokenizers: z.array(preTokenizer) }),
  ]),
);

const simpleDecoders = [
  z.object({ type: z.literal('ByteLevel') }),
  z.object({ type: z.literal('ByteFallback') }),
  z.object({ type: z.literal('Fuse') }),
  z.object({ type: z.literal('Replace'), pattern, content: z.string() }),
  z.object({ type: z.literal('Strip'), content: z.string(), start: z.number(), stop: z.number() }),
  z.object({ type: z.literal('WordPiece'), prefix: z.string(), cleanup: z.boolean() }),
  z.object({ type: z.literal('BPEDecoder'), suffix: z.string() }),
  z.object({
    type: z.literal('Metaspace'),
    replacement: z.string(),
    prepend_scheme: prependScheme.default('always'),
  }),
] as const;
export type DecoderConfig =
  z.infer<(typeof simpleDecoders)[number]> | { type: 'Sequence'; decoders: DecoderConfig[] };
const decoder: z.ZodType<DecoderConfig> = z.lazy(() =>
  z.discriminatedUnion('type', [
    ...simpleDecoders,
    z.object({ type: z.literal('Sequence'), decoders: z.array(decoder) }),
  ]),
);

// Left as JSON.parse made it: a copy would lose a token that is called __proto__.
const vocabulary = z.custom<Readonly<Record<string, number>>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((id) => Number.isInteger(id) && id >= 0 && id < maxVocabularySize),
  `ids are whole numbers below ${maxVocabularySize}`,
);
const bpe = z.object({
  type: z.literal('BPE'),
  vocab: vocabulary,
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  unk_token: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  // Draws other tokens every time.
  dropout: z.literal(0).nullish(),
});
export type BpeConfig = z.infer<typeof bpe>;
const unigram = z.object({
  type: z.literal('Unigram'),
  vocab: z.array(z.tuple([z.string(), z.number()])).max(maxVocabularySize),
  unk_id: id.nullish(),
  byte_fallback: z.boolean().nullish(),
});
export type UnigramConfig = z.infer<typeof unigram>;
const wordPiece = z.object({
  type: z.literal('WordPiece'),
  vocab: vocabulary,
  unk_token: z.string(),
  continuing_subword_prefix: z.string(),
  max_input_chars_per_word: z.number().int().positive(),
});
export type WordPieceConfig = z.infer<typeof wordPiece>;

const addedToken = z.object({
  id,
  content: z.string(),
  single_word: z.boolean(),
  lstrip: z.boolean(),
  rstrip: z.boolean(),
  normalized: z.boolean(),
  special: z.boolean(),
});
export type AddedTokenConfig = z.infer<typeof addedToken>;

export const tokenizerSchema = z.object({
  added_tokens: z.array(addedToken).default([]),
  normalizer: normalizer.nullish(),
  pre_tokenizer: preTokenizer.nullish(),
  decoder: decoder.nullish(),
  // Older files do not name the model's type; its keys do.
  model: z.preprocess(nameModel, z.discriminatedUnion('type', [bpe, unigram, wordPiece])),
});
export type TokenizerConfig = z.infer<typeof tokenizerSchema>;

function nameModel(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || 'type' in model) return model;
  if ('merges' in model) return { ...model, type: 'BPE' };
  if ('vocab' in model) return { ...model, type: Array.isArray(model.vocab) ? 'Unigram' : 'WordPiece' };
  return model;
}
