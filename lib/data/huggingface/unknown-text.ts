import { compactError } from '../../errors.js';

type BytesOf = (text: string) => readonly number[] | undefined;

/** Of a vocabulary without byte fallback. */
export const noBytes: BytesOf = () => undefined;

/** The bytes of a text as tokens `<0x00>` to `<0xFF>`; undefined when the vocabulary lacks one of them. */
export function byteFallback(vocabulary: ReadonlyMap<string, number>): BytesOf {
  const byteIds = Array.from({ length: 256 }, (_, byte) =>
    vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  return (text) => {
    const ids = Array.from(Buffer.from(text, 'utf8'), (byte) => byteIds[byte]);
    return ids.every((id) => id !== undefined) ? ids : undefined;
  };
}

/** Of a text that would vanish without a trace. */
export const unknownText = (text: string): Error =>
  compactError('ERR_COMPACT_TOKENIZER', 'the tokenizer has no token for a part of the text', {
    op: 'tokenizer',
    expected: 'a token for every character, or one for unknown text',
    received: JSON.stringify(text),
    remedy: 'Use a tokenizer with byte fallback, or one whose unk_token is set',
  });
