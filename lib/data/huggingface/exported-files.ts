import type { SpecialTokens } from './special-tokens.js';

/**
 * The files of a tokenizer as training used it, for other programs: training on running text puts no control token around a text,
 * so none is added when the files are opened elsewhere, and no space is tidied away. Exported files export as they are. A
 * tokenizer with a mask token belongs to an encoder, whose heads read the start token: it keeps what stands around a text.
 */
export function exportedFiles(
  json: string,
  config: Readonly<Record<string, unknown>>,
  { eos, mask }: SpecialTokens,
): Readonly<Record<string, string>> {
  const parsed = JSON.parse(json) as Record<string, unknown>;
  const given = parsed['post_processor'] ?? null;
  const isOfEncoder = mask !== undefined;
  const postProcessor = isOfEncoder ? given : withoutControlTokens(given);
  const isSame = JSON.stringify(postProcessor) === JSON.stringify(given);
  const { auto_map: _, ...kept } = config;
  const exportedConfig = {
    ...kept,
    ...(eos === undefined ? {} : { eos_token: eos }),
    // Takes tokenizer.json as it stands; classes of single models build parts of it anew.
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(!isOfEncoder && { add_bos_token: false, add_eos_token: false }),
    clean_up_tokenization_spaces: false,
  };
  return {
    'tokenizer.json': isSame ? json : JSON.stringify({ ...parsed, post_processor: postProcessor }),
    'tokenizer_config.json': `${JSON.stringify(exportedConfig, undefined, 2)}\n`,
  };
}

/** Byte-level post-processing only moves offsets; every other kind adds tokens. */
function withoutControlTokens(postProcessor: unknown): unknown {
  const { type, processors } = (postProcessor ?? {}) as { type?: unknown; processors?: unknown };
  if (type === 'ByteLevel') return postProcessor;
  if (type !== 'Sequence' || !Array.isArray(processors)) return null;
  const kept = processors.map(withoutControlTokens).filter((processor) => processor !== null);
  return kept.length === 0 ? null : { type, processors: kept };
}
