import { charactersMap } from './characters-map.js';
import { compilePattern } from './pattern.js';
import type { NormalizerConfig } from './schema.js';
import { formatCharacters, nonspacingMarks } from './unicode-8.js';

/** Changes a text before it is split; `isStart` is false where the text goes on from an earlier piece. */
export type Normalizer = (text: string, isStart: boolean) => string;

/** @throws SyntaxError for a regular expression that cannot be translated */
export function makeNormalizer(config: NormalizerConfig): Normalizer {
  switch (config.type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(config.type);
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    case 'Strip':
      return (text) => {
        const left = config.strip_left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return config.strip_right ? trimEnd(left) : left;
      };
    case 'Prepend':
      return (text, isStart) => (isStart && text !== '' ? config.prepend + text : text);
    case 'Replace': {
      const pattern = compilePattern(config.pattern);
      return (text) => text.replace(pattern, () => config.content);
    }
    case 'Precompiled':
      return charactersMap(config.precompiled_charsmap);
    case 'BertNormalizer':
      return bertNormalizer(config);
    default: {
      const normalizers = config.normalizers.map(makeNormalizer);
      return (text, isStart) => normalizers.reduce((result, normalize) => normalize(result, isStart), text);
    }
  }
}

/** Letter by letter: the whole-text rule of JavaScript knows a final sigma, the reference does not. */
const lowercase = (text: string): string =>
  text.replace(/\P{ASCII}|[A-Z]/gu, (letter) => letter.toLowerCase());

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

const unprinted = new RegExp(String.raw`[^\P{Cc}\t\n\r]|[\uFFFD\p{Co}\p{Cs}${formatCharacters}]`, 'gu');
const accents = new RegExp(`[${nonspacingMarks}]`, 'gu');

/** As Google's BERT splits words (Devlin et al. 2018): control characters go, every ideograph stands alone. */
function bertNormalizer(config: Extract<NormalizerConfig, { type: 'BertNormalizer' }>): Normalizer {
  const ideograph =
    /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu;
  return (text) => {
    let result = text;
    if (config.clean_text) result = result.replace(unprinted, '').replace(/\p{White_Space}/gu, ' ');
    if (config.handle_chinese_chars) result = result.replace(ideograph, ' $& ');
    if (config.strip_accents ?? config.lowercase) result = result.normalize('NFD').replace(accents, '');
    return config.lowercase ? lowercase(result) : result;
  };
}
