import { lettersToBytes } from './byte-level.js';
import { compilePattern } from './pattern.js';
import type { DecoderConfig } from './schema.js';

/** Tokens to pieces of text; the text is all pieces joined. */
export type Decoder = (tokens: string[]) => string[];

/** @throws SyntaxError for a regular expression that cannot be translated */
export function makeDecoder(config: DecoderConfig): Decoder {
  switch (config.type) {
    case 'ByteLevel':
      return (tokens) => [Buffer.concat(tokens.map(lettersToBytes)).toString('utf8')];
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Replace': {
      const pattern = compilePattern(config.pattern);
      return (tokens) => tokens.map((token) => token.replace(pattern, () => config.content));
    }
    case 'Strip':
      return (tokens) => tokens.map((token) => strip(token, config));
    case 'WordPiece':
      return (tokens) =>
        tokens.map((token, i) => {
          const { prefix, cleanup } = config;
          const joined =
            i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
          return cleanup ? tidy(joined) : joined;
        });
    case 'BPEDecoder':
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(config.suffix, i === tokens.length - 1 ? '' : ' '));
    case 'Metaspace':
      return (tokens) =>
        tokens.map((token, i) =>
          token.replaceAll(config.replacement, i === 0 && config.prepend_scheme !== 'never' ? '' : ' '),
        );
    default: {
      const decoders = config.decoders.map(makeDecoder);
      return (tokens) => decoders.reduce((pieces, decode) => decode(pieces), tokens);
    }
  }
}

/** Runs of byte tokens become their text; where that is not UTF-8, one U+FFFD for each byte. */
function byteFallback(tokens: string[]): string[] {
  const pieces: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    const text = Buffer.from(bytes).toString('utf8');
    const isText = Buffer.from(text, 'utf8').equals(Buffer.from(bytes));
    pieces.push(isText ? text : '\uFFFD'.repeat(bytes.length));
    bytes = [];
  };
  for (const token of tokens) {
    const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else {
      flush();
      pieces.push(token);
    }
  }
  flush();
  return pieces;
}

function strip(token: string, { content, start, stop }: Extract<DecoderConfig, { type: 'Strip' }>): string {
  const letters = Array.from(token);
  let first = 0;
  while (first < start && letters[first] === content) first++;
  let end = letters.length;
  while (letters.length - end < stop && end > 0 && letters[end - 1] === content) end--;
  return letters.slice(first, end).join('');
}

/** Part of the decoder that asks for it, not of the tokenizer around it. */
const tidy = (text: string): string =>
  text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
