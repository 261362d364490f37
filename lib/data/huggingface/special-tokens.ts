import type { TokenizerConfig } from './schema.js';

/** The control tokens that files name, by their text. */
export interface SpecialTokens {
  readonly eos: string | undefined;
  readonly bos: string | undefined;
  readonly pad: string | undefined;
  readonly mask: string | undefined;
}

/** What published models call the end of a text, where no file says it. */
const wellKnownEnds = [
  '</s>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<eos>',
  '<|eos|>',
  '[EOS]',
  '<｜end▁of▁sentence｜>',
];

/**
 * Looks in tokenizer_config.json, then special_tokens_map.json, then (for the end of text) among the control tokens
 * of tokenizer.json for a name that is well known.
 */
export function findSpecialTokens(
  { added_tokens }: TokenizerConfig,
  files: readonly Readonly<Record<string, unknown>>[],
): SpecialTokens {
  const named = (key: string): string | undefined =>
    files.map((file) => textOf(file[key])).find((text) => text !== undefined);
  const special = new Set(added_tokens.filter(({ special }) => special).map(({ content }) => content));
  return {
    // BERT's tokens of classification and separation stand where others have those of start and end.
    eos: named('eos_token') ?? named('sep_token') ?? wellKnownEnds.find((text) => special.has(text)),
    bos: named('bos_token') ?? named('cls_token'),
    pad: named('pad_token'),
    mask: named('mask_token'),
  };
}

/**
 * Whether a text begins with the start token: as tokenizer_config.json says, else as the post-processor of tokenizer.json
 * puts it there.
 */
export function addsBosToken(
  json: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  bos: string | undefined,
): boolean {
  if (bos === undefined) return false;
  const { add_bos_token: said } = config;
  return typeof said === 'boolean' ? said : beginsWith(json['post_processor'], bos);
}

function beginsWith(postProcessor: unknown, bos: string): boolean {
  const { processors, single } = (postProcessor ?? {}) as { processors?: unknown; single?: unknown };
  if (Array.isArray(processors)) return processors.some((processor) => beginsWith(processor, bos));
  if (!Array.isArray(single)) return false;
  const [first] = single as readonly ({ readonly SpecialToken?: { readonly id?: unknown } } | null)[];
  return first?.SpecialToken?.id === bos;
}

function textOf(token: unknown): string | undefined {
  const text = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof text === 'string' ? text : undefined;
}
