import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizerFromFiles } from '../../lib/data/huggingface/load.js';
import { loadTokenizer } from '../../lib/data/index.js';
import type { RunOptions, RunResult } from '../../lib/runtime/index.js';
import { sampleText } from '../../lib/train/sample-text.js';
import { checkSampleOptions, drawToken, uniformNumbers } from '../../lib/train/sampling.js';

const uniforms = (count: number, seed = 1): number[] => {
  const next = uniformNumbers(seed);
  return Array.from({ length: count }, () => next());
};

/** How often each token is drawn. */
function frequencies(logits: number[], options: object, count = 20_000): number[] {
  const rule = checkSampleOptions(options);
  const counts = logits.map(() => 0);
  for (const uniform of uniforms(count)) counts[drawToken(logits, rule, uniform)]! += 1 / count;
  return counts;
}

describe('drawToken', () => {
  const logits = [Math.log(0.1), Math.log(0.6), Math.log(0.3)];

  test('draws by the softmax of the logits', () => {
    // Three standard errors of a share of 20,000 draws are at most 0.011.
    for (const [id, share] of frequencies(logits, {}).entries())
      expect(Math.abs(share - [0.1, 0.6, 0.3][id]!)).toBeLessThan(0.011);
  });

  test('temperature 2 takes the square root of the odds', () => {
    const roots = [0.1, 0.6, 0.3].map(Math.sqrt);
    const total = roots.reduce((a, b) => a + b);
    for (const [id, share] of frequencies(logits, { temperature: 2 }).entries())
      expect(Math.abs(share - roots[id]! / total)).toBeLessThan(0.011);
  });

  test('temperature 0 is greedy, of equals the first', () => {
    expect(drawToken([1, 5, 5, 2], checkSampleOptions({ temperature: 0 }), 0.999)).toBe(1);
  });

  test('topK and topP leave the likeliest', () => {
    expect(frequencies(logits, { topK: 2 })[0]).toBe(0);
    expect(frequencies(logits, { topK: 2 })[1]).toBeCloseTo(2 / 3, 1);
    expect(frequencies(logits, { topP: 0.6 })).toEqual([0, expect.closeTo(1, 6), 0]);
    expect(frequencies(logits, { topP: 0.61 })[0]).toBe(0);
    expect(frequencies(logits, { topP: 0.61 })[2]).toBeGreaterThan(0.3);
    expect(frequencies(logits, { topP: 0.95 })[0]).toBeGreaterThan(0.08);
  });

  test('large logits and impossible tokens are no trouble', () => {
    const ids = uniforms(100).map((uniform) =>
      drawToken([1e30, -Infinity, 1e30], checkSampleOptions({}), uniform),
    );
    expect(new Set(ids)).toEqual(new Set([0, 2]));
  });

  test.each([{ temperature: -1 }, { temperature: NaN }, { topK: 1.5 }, { topP: 0 }, { topP: 1.1 }])(
    '%j is refused',
    (options) => {
      expect(() => checkSampleOptions(options)).toThrow(
        expect.objectContaining({ code: 'ERR_COMPACT_ARGUMENT' }),
      );
    },
  );
});

test('uniform numbers are those of SplitMix64', () => {
  // The first outputs for seed 1234567 as its author published them.
  const published = [6457827717110365317n, 3203168211198807973n, 9817491932198370423n];
  const next = uniformNumbers(1234567);
  for (const word of published) expect(next()).toBe(Number(word >> 11n) / 2 ** 53);
});

describe('sampleText', () => {
  /** A model that always says the next byte of a text, by logits of 300 rows of which only 257 are tokens. */
  class SpellingEngine {
    readonly rows: number[] = [];
    readonly contexts: string[] = [];
    readonly #bytes: Buffer;

    constructor(text: string) {
      this.#bytes = Buffer.from(text);
    }

    async run(_: string, { inputs, scalars }: RunOptions = {}): Promise<RunResult> {
      const row = scalars!.row!;
      this.contexts.push(Buffer.from(inputs!['tokens']!.subarray(0, row + 1)).toString('latin1'));
      const logits = new Float32Array(300);
      logits[this.#bytes[this.rows.length] ?? 256] = 50;
      logits[299] = 100;
      this.rows.push(row);
      return { outputs: { logits }, durationMs: 0 };
    }
  }

  test('goes on from the prompt, in whole characters, until the end of text', async () => {
    const tokenizer = await loadTokenizer();
    const engine = new SpellingEngine('né€');
    const heard: string[] = [];
    const report = await sampleText(
      engine,
      { tokenizer, sequenceLength: 4 },
      { prompt: 'ab', onText: (text) => heard.push(text) },
    );
    expect(report).toMatchObject({ prompt: 'ab', text: 'né€', numTokens: 6, finishReason: 'endOfText' });
    expect(heard).toEqual(['n', 'é', '€']);
    expect(engine.rows).toEqual([1, 2, 3, 3, 3, 3, 3]);
    expect(engine.contexts.slice(0, 3)).toEqual(['ab', 'abn', 'abn\xc3']);
  });

  test('ends at the length asked for; without a prompt it starts from the end of text', async () => {
    const tokenizer = await loadTokenizer();
    const engine = new SpellingEngine('abcdef');
    const report = await sampleText(engine, { tokenizer, sequenceLength: 8 }, { maxNewTokens: 3 });
    expect(report).toMatchObject({ text: 'abc', numTokens: 3, finishReason: 'length' });
    expect(engine.contexts[0]).toBe('\0');
  });

  test('a prompt with half of a surrogate pair is refused: no token could say it', async () => {
    const tokenizer = await loadTokenizer();
    const sampling = sampleText(
      new SpellingEngine('a'),
      { tokenizer, sequenceLength: 8 },
      { prompt: 'a\ud800b' },
    );
    await expect(sampling).rejects.toMatchObject({ code: 'ERR_COMPACT_ARGUMENT', op: 'prompt' });
  });

  test('control tokens in a prompt are text unless asked for; what is told is the text of the report', async () => {
    const path = join(__dirname, '../fixtures/tokenizers/sentencepiece-bpe.json');
    const { tokenizer: config } = JSON.parse(readFileSync(path, 'utf8')) as { tokenizer: object };
    const tokenizer = tokenizerFromFiles('sentencepiece', { 'tokenizer.json': JSON.stringify(config) });
    // Says `▁a`, `b`, the two bytes of é, and `</s>`.
    const says = [6, 5, 0xc3 + 7, 0xa9 + 7, 2];
    const write = async (options: { splitSpecialTokens?: boolean }) => {
      const contexts: number[][] = [];
      const engine = {
        run: async (_: string, { inputs, scalars }: RunOptions = {}): Promise<RunResult> => {
          const logits = new Float32Array(263);
          logits[says[contexts.length]!] = 50;
          contexts.push([...inputs!['tokens']!.subarray(0, scalars!['row']! + 1)]);
          return { outputs: { logits }, durationMs: 0 };
        },
      };
      const heard: string[] = [];
      const onText = (piece: string) => heard.push(piece);
      const report = await sampleText(
        engine,
        { tokenizer, sequenceLength: 16 },
        { prompt: 'a</s>', ...options, onText },
      );
      return { report, heard, context: contexts[0] };
    };
    const asText = await write({});
    expect(asText.heard).toEqual([' a', 'b', 'é']);
    expect(asText.report).toMatchObject({ text: ' abé', finishReason: 'endOfText' });
    expect(asText.context).toHaveLength(5);
    const asControl = await write({ splitSpecialTokens: false });
    expect(asControl.context).toEqual([6, 2]);
    expect(asControl.heard.join('')).toBe(asControl.report.text);
  });
});
