import type { Tokenizer } from '../../data/index.js';
import type { DType, Model } from '../../graph/index.js';

/**
 * The files beside model.safetensors with which Hugging Face's libraries open a model, by name: config.json,
 * generation_config.json and the tokenizer's. Nothing here reads the first two. The ids of control tokens are those of
 * the tokenizer; but text without a prompt starts from the end of text, which is what stood before every document in
 * training, while a start of its own never did.
 * @param tokenizerFiles the tokenizer's, where they are not those of running text
 */
export function pretrainedFiles(
  model: Model,
  tokenizer: Tokenizer,
  dtype: DType,
  tokenizerFiles: Readonly<Record<string, string>> = tokenizer.files(),
): Readonly<Record<string, string>> {
  const { bosTokenId: bos, endOfTextId: eos, padTokenId: pad } = tokenizer;
  const generation = {
    do_sample: true,
    bos_token_id: eos ?? bos ?? null,
    eos_token_id: eos ?? null,
    pad_token_id: pad ?? eos ?? null,
  };
  return {
    'config.json': configText(model.pretrainedConfig(dtype, { bos, eos, pad })),
    'generation_config.json': json(generation),
    ...tokenizerFiles,
  };
}

/** Fields that transformers refuse as whole numbers, which JSON of this language writes 50.0 as. */
const floats = ['attn_logit_softcapping', 'final_logit_softcapping'];
const wholeFloat = new RegExp(`("(?:${floats.join('|')})": -?[0-9]+)(?=[,\\n])`, 'g');

/** The text of a config.json. */
export const configText = (config: Readonly<Record<string, unknown>>): string =>
  json(config).replaceAll(wholeFloat, '$1.0');

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
