/** Lines of text for comparing tokenizers: every script, signs made of several code points, code, and what is not printed. */

/** Ranges of code points, the first and the last of each. */
const ranges: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  latin: [
    [0x41, 0x5a],
    [0x61, 0x7a],
    [0xc0, 0x24f],
    [0x1e00, 0x1eff],
  ],
  greekAndCyrillic: [
    [0x370, 0x3ff],
    [0x400, 0x52f],
  ],
  rightToLeft: [
    [0x591, 0x5f4],
    [0x600, 0x6ff],
  ],
  indic: [
    [0x900, 0x97f],
    [0x980, 0x9fe],
    [0xb80, 0xbfa],
  ],
  southEastAsian: [
    [0xe01, 0xe3a],
    [0x1000, 0x109f],
    [0x1780, 0x17f9],
  ],
  eastAsian: [
    [0x3041, 0x30ff],
    [0x4e00, 0x9fff],
    [0xac00, 0xd7a3],
    [0x20000, 0x2a6df],
    [0xff01, 0xffee],
  ],
  marks: [
    [0x300, 0x36f],
    [0x20d0, 0x20f0],
    [0xfe00, 0xfe0f],
  ],
  signs: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x2010, 0x205e],
    [0x20a0, 0x20bf],
    [0x2190, 0x22ff],
    [0x2500, 0x27bf],
  ],
  emoji: [
    [0x1f300, 0x1f64f],
    [0x1f680, 0x1f6ff],
    [0x1f900, 0x1f9ff],
    [0x1f1e6, 0x1f1ff],
    [0x1f3fb, 0x1f3ff],
    [0x200d, 0x200d],
  ],
  digits: [
    [0x30, 0x39],
    [0x660, 0x669],
    [0xb2, 0xb3],
    [0x2150, 0x2189],
  ],
  spaces: [
    [0x20, 0x20],
    [0x09, 0x0d],
    [0xa0, 0xa0],
    [0x2000, 0x200a],
    [0x3000, 0x3000],
    [0x85, 0x85],
  ],
  unprinted: [
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0x200b, 0x200f],
    [0x202a, 0x202e],
    [0x2060, 0x2064],
    [0xe000, 0xe020],
    [0xfeff, 0xfeff],
    [0xfff9, 0xfffd],
  ],
};

const phrases = [
  'The quick brown fox',
  "it's they've I'll don't CAN'T",
  'function f(x) { return x ** 2; }',
  'for i in range(10):\n    print(f"{i:02d}")',
  '#include <vector>\t// 0x1F 1e-5',
  'SELECT * FROM t WHERE a <= 3;',
  'https://example.com/a?b=c&d=%20',
  '<p class="x">&amp;</p>',
  '👩‍👩‍👧‍👦 👍🏽 🇫🇷 e\u0301 ñ',
  '1234567890 3.14159 1,000,000',
  '     \n\n\t\t   ',
  '--- *** ___ ```',
];

/**
 * The same lines in every run: runs of one alphabet or another behind one another, and phrases between them. Half surrogates and
 * control tokens are not among them.
 */
export function mixedLines(count: number): readonly string[] {
  const below = generator(1);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  const alphabets = Object.values(ranges);
  const run = (): string => {
    if (below(4) === 0) return pick(phrases);
    const alphabet = pick(alphabets);
    return Array.from({ length: 1 + below(12) }, () => {
      const [first, last] = pick(alphabet);
      return String.fromCodePoint(first + below(last - first + 1));
    }).join('');
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + below(10) }, () => run() + (below(2) === 0 ? ' ' : '')).join(''),
  );
}

/** Whole numbers below a bound, by xorshift (Marsaglia 2003, "Xorshift RNGs", triple 13, 17, 5). */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
