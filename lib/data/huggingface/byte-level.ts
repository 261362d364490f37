import { cached } from './cached.js';

/*
 * Byte-level tokenizers spell every byte as one printable letter (Radford et al. 2019): printable Latin-1 stands for
 * itself, the other 68 bytes are U+0100 and following.
 */
const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

let numShifted = 0;
export const letterOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : 256 + numShifted++),
);
const byteOfLetter = new Map(letterOfByte.map((letter, byte) => [letter, byte]));

export const bytesToLetters = cached((text): string => {
  let letters = '';
  for (const byte of Buffer.from(text, 'utf8')) letters += letterOfByte[byte];
  return letters;
});

/** The bytes that a token spells; a token with any other letter (an added one) spells its own text. */
export function lettersToBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const letter of token) {
    const byte = byteOfLetter.get(letter);
    if (byte === undefined) return Buffer.from(token, 'utf8');
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
