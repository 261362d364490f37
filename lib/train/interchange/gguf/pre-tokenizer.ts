import { unknownTokenizer, type TokenizerJson } from './tokenizer-json.js';

/*
 * Names that llama.cpp has for how byte-level tokenizers cut a text before they encode it. They stand for these parts of
 * tokenizer.json; other parts would make other tokens of the same text, so they are refused.
 */
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const words = (digits: string): string =>
  String.raw`${contractions}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

interface Cut {
  readonly normalizer: string | undefined;
  /** Parts of the pre-tokenizer, in their order. */
  readonly parts: readonly string[];
}

const cutBy = (expression: string): readonly string[] => [`Split ${expression}`, 'ByteLevel'];

const cuts: Readonly<Record<string, Cut>> = {
  'gpt-2': { normalizer: undefined, parts: ['ByteLevel by words'] },
  smollm: { normalizer: undefined, parts: ['Digits', 'ByteLevel by words'] },
  'llama-bpe': { normalizer: undefined, parts: cutBy(words(String.raw`\p{N}{1,3}`)) },
  qwen2: { normalizer: 'NFC', parts: cutBy(words(String.raw`\p{N}`)) },
};

/** @throws ERR_COMPACT_TOKENIZER */
export function preTokenizerName(json: TokenizerJson): string {
  const normalizer = (json.normalizer as { type?: string } | null | undefined)?.type;
  const parts = partsOf(json.pre_tokenizer);
  // Bytes alone are the same tokens however a text is cut.
  if (json.model.merges.length === 0 && normalizer === undefined && parts?.at(-1)?.startsWith('ByteLevel'))
    return 'gpt-2';
  const name = Object.keys(cuts).find((known) => {
    const cut = cuts[known]!;
    return cut.normalizer === normalizer && cut.parts.join('\n') === parts?.join('\n');
  });
  if (name === undefined)
    throw unknownTokenizer(
      'pre_tokenizer',
      `that of ${Object.keys(cuts).join(', ')}`,
      json.pre_tokenizer ?? json.normalizer,
    );
  return name;
}

interface Part {
  readonly type: string;
  readonly pretokenizers?: readonly Part[];
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
  readonly individual_digits?: boolean;
  readonly pattern?: { readonly Regex?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
}

/** Undefined where there is a part that no name has. */
function partsOf(preTokenizer: unknown): readonly string[] | undefined {
  if (preTokenizer === null || preTokenizer === undefined) return [];
  const { type, pretokenizers = [preTokenizer] } = preTokenizer as Part;
  const parts = (type === 'Sequence' ? pretokenizers : [preTokenizer]).map((part) => describe(part as Part));
  return parts.includes(undefined) ? undefined : (parts as readonly string[]);
}

function describe(part: Part): string | undefined {
  switch (part.type) {
    case 'ByteLevel':
      if (part.add_prefix_space === true) return undefined;
      return part.use_regex === false ? 'ByteLevel' : 'ByteLevel by words';
    case 'Digits':
      return part.individual_digits === true ? 'Digits' : undefined;
    case 'Split':
      return part.behavior === 'Isolated' && part.invert === false
        ? `Split ${part.pattern?.Regex}`
        : undefined;
    default:
      return undefined;
  }
}
