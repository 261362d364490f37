import { tokenizerFromFiles } from '../../../data/huggingface/load.js';
import { checkVocabulary } from '../../../data/index.js';
import { compactError } from '../../../errors.js';
import type { GgufValue } from '../../../formats/index.js';
import type { Companions } from '../companion-files.js';
import { preTokenizerName } from './pre-tokenizer.js';
import { scoresOf } from './scores.js';
import { unknownTokenizer, type TokenizerJson } from './tokenizer-json.js';

/** Kinds of tokens, as llama.cpp numbers them. */
const kinds = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * The metadata of a tokenizer: tokens with their kinds, merges or scores, control tokens, and the chat template. Byte pair
 * encoding only: byte-level, or as sentencepiece has it.
 * @param companions files of the model's folder
 * @param vocabularySize rows of the embedding table; those without a token are padding
 * @throws ERR_COMPACT_TOKENIZER for a tokenizer that llama.cpp has no name for, or none at all
 */
export function ggufTokenizer(
  companions: Companions,
  vocabularySize: number,
): ReadonlyMap<string, GgufValue> {
  const texts = textsOf(companions);
  const text = texts['tokenizer.json'];
  if (text === undefined) throw noTokenizer();
  const tokenizer = tokenizerFromFiles('tokenizer.json', texts);
  checkVocabulary(tokenizer, vocabularySize);
  const json = JSON.parse(text) as TokenizerJson;
  const isSentencePiece = json.model.byte_fallback === true;
  if ((json.model.type ?? 'BPE') !== 'BPE') throw unknownTokenizer('model.type', "'BPE'", json.model.type);
  const { tokens, kindOf } = tokensOf(json, vocabularySize);
  const uint = (key: string, value: number | undefined): readonly [string, GgufValue][] =>
    value === undefined ? [] : [[key, { type: 'uint32', value }]];
  const template = chatTemplateOf(texts);
  const entries: readonly (readonly [string, GgufValue])[] = [
    ['model', { type: 'string', value: isSentencePiece ? 'llama' : 'gpt2' }],
    ['pre', { type: 'string', value: isSentencePiece ? 'default' : preTokenizerName(json) }],
    ['tokens', { type: 'string[]', value: tokens }],
    ['token_type', { type: 'int32[]', value: kindOf }],
    isSentencePiece
      ? ['scores', { type: 'float32[]', value: scoresOf(json, tokens) }]
      : ['merges', { type: 'string[]', value: json.model.merges.map(mergeText) }],
    ...uint('bos_token_id', tokenizer.bosTokenId),
    ...uint('eos_token_id', tokenizer.endOfTextId),
    ...uint('unknown_token_id', tokenizer.unknownId),
    ...uint('padding_token_id', tokenizer.padTokenId),
    ['add_bos_token', { type: 'bool', value: tokenizer.addsBos }],
    ['add_eos_token', { type: 'bool', value: false }],
    ...(isSentencePiece ? [['add_space_prefix', { type: 'bool', value: prefixesSpace(json) }] as const] : []),
  ];
  return new Map([
    ...entries.map(([key, value]) => [`tokenizer.ggml.${key}`, value] as const),
    ...(template === undefined
      ? []
      : [['tokenizer.chat_template', { type: 'string', value: template }] as const]),
  ]);
}

const textsOf = (companions: Companions): Readonly<Record<string, string>> =>
  Object.fromEntries([...companions].map(([name, bytes]) => [name, Buffer.from(bytes).toString('utf8')]));

const noTokenizer = (): Error =>
  compactError('ERR_COMPACT_TOKENIZER', 'the model has no tokenizer', {
    op: 'tokenizer',
    expected: 'a tokenizer.json beside its weights, which a file of GGUF holds',
    received: 'no such file',
    remedy: 'Put the tokenizer.json of the model into its folder',
  });

function tokensOf({ model, added_tokens: added = [] }: TokenizerJson, vocabularySize: number) {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => `[PAD${id}]`);
  const kindOf: number[] = tokens.map(() => kinds.unused);
  for (const [token, id] of Object.entries(model.vocab)) {
    tokens[id] = token;
    const isByte = model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(token);
    kindOf[id] = isByte ? kinds.byte : kinds.normal;
  }
  for (const { id, content, special } of added) {
    tokens[id] = content;
    kindOf[id] = special ? kinds.control : kinds.userDefined;
  }
  const unknown = model.vocab[model.unk_token ?? ''];
  if (unknown !== undefined) kindOf[unknown] = kinds.unknown;
  return { tokens, kindOf };
}

/** Two tokens with a space between them, for which a space within a token has the letter that stands for its byte. */
function mergeText(merge: string | readonly [string, string]): string {
  return typeof merge === 'string' ? merge : merge.map((token) => token.replaceAll(' ', 'Ġ')).join(' ');
}

/** Whether the first word of a text gets a space in front. */
const prefixesSpace = ({ normalizer, pre_tokenizer }: TokenizerJson): boolean =>
  JSON.stringify(normalizer ?? null).includes('"type":"Prepend"') ||
  /"prepend_scheme":"(always|first)"/.test(JSON.stringify(pre_tokenizer ?? null));

/** A file of its own, or a field of tokenizer_config.json: a text, or several with names. */
function chatTemplateOf(texts: Readonly<Record<string, string>>): string | undefined {
  if (texts['chat_template.jinja'] !== undefined) return texts['chat_template.jinja'];
  const { chat_template: template } = JSON.parse(texts['tokenizer_config.json'] ?? '{}') as {
    chat_template?: string | readonly { readonly name: string; readonly template: string }[];
  };
  if (template === undefined || typeof template === 'string') return template;
  return template.find(({ name }) => name === 'default')?.template;
}
