/**
 * The normalization of a sentencepiece model: text to replace, in a trie of the Darts-clone library (a double array whose
 * units say by bits where the next byte leads), and behind it the replacements, each ended by a NUL.
 *
 * @param base64 of the number of bytes of the trie (32 bits), the trie, and the replacements; all little-endian
 * @throws SyntaxError for anything else
 */
export function charactersMap(base64: string): (text: string) => string {
  const bytes = Buffer.from(base64, 'base64');
  const trieBytes = bytes.length < 4 ? NaN : bytes.readUInt32LE(0);
  if (!(trieBytes % 4 === 0 && 4 + trieBytes <= bytes.length))
    throw new SyntaxError('precompiled_charsmap is shorter than it says');
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
  const replacements = bytes.subarray(4 + trieBytes);

  /** What the shortest entry that a text begins with becomes; undefined where there is none. */
  function replacementOf(text: string): string | undefined {
    let at = offsetOf(units[0] ?? 0);
    for (const byte of Buffer.from(text, 'utf8')) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = units[at];
      if (unit === undefined || (unit & 0x8000_00ff) >>> 0 !== byte) return undefined;
      at ^= offsetOf(unit);
      const isEntry = ((unit >>> 8) & 1) === 1;
      if (isEntry) {
        const start = (units[at] ?? 0) & 0x7fff_ffff;
        const end = replacements.indexOf(0, start);
        return replacements.toString('utf8', start, end < 0 ? replacements.length : end);
      }
    }
    return undefined;
  }

  const replaceCharacter = remembered((character) => replacementOf(character) ?? character);

  /** A cluster as a whole where it is short and begins with an entry, even if that drops its end; else by characters. */
  function replaceCluster(cluster: string): string {
    const isShort = Buffer.byteLength(cluster) < 6;
    const whole = isShort && cluster.length > 1 ? replacementOf(cluster) : undefined;
    return whole ?? Array.from(cluster, replaceCharacter).join('');
  }

  const replaceJoined = remembered((run) =>
    Array.from(clusters.segment(run), ({ segment }) => replaceCluster(segment)).join(''),
  );

  const isAsciiKept = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).every(
    (letter) => replaceCharacter(letter) === letter,
  );
  return (text) =>
    text.replace(runs, (run, joined: string | undefined, ascii: string | undefined) => {
      if (joined !== undefined) return replaceJoined(run);
      return ascii !== undefined && isAsciiKept ? run : Array.from(run, replaceCharacter).join('');
    });
}

const maxRemembered = 50_000;

/** Few characters, and few ways to join them, make up most of a text. */
function remembered(replace: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    let result = known.get(text);
    if (result === undefined) {
      result = replace(text);
      if (known.size >= maxRemembered) known.clear();
      known.set(text, result);
    }
    return result;
  };
}

/*
 * Most characters are clusters of their own. Only stretches with characters that may join others are searched for
 * clusters, since the search takes a time that grows with the square of a stretch: what may join a character before it
 * (marks, halves of flags, parts of Hangul syllables, ends of lines), and what may join one behind it.
 */
const prepended = String.raw`\u0D4E\u{111C2}\u{111C3}\u{1193F}\u{11941}\u{11A3A}\u{11A84}-\u{11A89}\u{11D46}\u{11F02}`;
const leader = String.raw`${prepended}\p{Cf}\u1100-\u115F\uA960-\uA97F`;
const joiner = String.raw`${leader}\p{M}\p{EMod}\p{RI}\r\n\u1160-\u11FF\uD7B0-\uD7FF\u0E33\u0EB3\uFF9E\uFF9F`;
const runs = new RegExp(
  `([^${joiner}]?[${joiner}]+(?:(?<=[${leader}])[^${joiner}][${joiner}]*)*)|([ -~]+(?![${joiner}]))|[^${joiner}]+(?![${joiner}])`,
  'gu',
);
const clusters = new Intl.Segmenter('en', { granularity: 'grapheme' });

const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
