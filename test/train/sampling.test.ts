import { beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizerFromFiles } from '../../lib/data/huggingface/load.js';
import { loadTokenizer, type Tokenizer } from '../../lib/data/index.js';
import type { RunOptions, RunResult } from '../../lib/runtime/index.js';
import { checkSampleOptions, drawToken, uniformNumbers } from '../../lib/train/generation/draw-token.js';
import { StopStrings } from '../../lib/train/generation/stop-strings.js';
import { plainText, type TextModel } from '../../lib/train/generation/text-model.js';
import { writeTexts, writtenText } from '../../lib/train/generation/write-texts.js';
import type { SampleOptions } from '../../lib/train/index.js';

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

  test('of equal logits topK keeps the smaller ids', () => {
    const ids = uniforms(50).map((uniform) =>
      drawToken([1, 2, 2, 2], checkSampleOptions({ topK: 2 }), uniform),
    );
    expect(new Set(ids)).toEqual(new Set([1, 2]));
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

describe('stop strings', () => {
  /** What is told of text that comes character by character, and what is left at its end. */
  function told(strings: string[], text: string) {
    const stop = new StopStrings(strings);
    const pieces = text.split('').map((character) => stop.push(character));
    return { pieces, rest: stop.end(), isStopped: stop.isStopped };
  }

  test('what may begin one is held back until it does not', () => {
    expect(told(['abc'], 'xababd')).toEqual({
      pieces: ['x', '', '', 'ab', '', 'abd'],
      rest: '',
      isStopped: false,
    });
    expect(told(['abc'], 'xab')).toEqual({ pieces: ['x', '', ''], rest: 'ab', isStopped: false });
  });

  test('nothing is told from the first one on', () => {
    expect(told(['bcd', 'c'], 'abcd')).toEqual({ pieces: ['a', '', 'b', ''], rest: '', isStopped: true });
    const stop = new StopStrings(['yz', 'b']);
    expect([stop.push('abyz'), stop.isStopped]).toEqual(['a', true]);
  });
});

/** Of two sequences at a time, four tokens of a prompt at a time. */
const batchOf = (batchSize: number): TextModel['plan'] => {
  const values = [{ shape: [batchSize] }, { shape: [batchSize * 4] }];
  return { entries: { generate: { inputs: [0] }, prefill: { inputs: [1] } }, values } as never;
};

/**
 * A model that says the bytes of a text behind each prompt, by logits of 300 rows of which only 257 are tokens. It has a
 * cache as the engine has: all it knows of a sequence is what it read at each position last.
 */
class SpellingEngine {
  readonly caches: number[][];
  readonly runs: string[] = [];
  readonly #says: Readonly<Record<string, string>>;

  constructor(says: Readonly<Record<string, string>>, batchSize = 1) {
    this.#says = says;
    this.caches = Array.from({ length: batchSize }, () => []);
  }

  async run(entry: string, { inputs }: RunOptions = {}): Promise<RunResult> {
    const { tokens, positions } = inputs as Record<'tokens' | 'positions', Int32Array>;
    const length = tokens.length / this.caches.length;
    this.runs.push(`${entry} ${positions[0]}`);
    const logits = new Float32Array(300 * this.caches.length);
    for (const [index, cache] of this.caches.entries()) {
      for (let i = index * length; i < (index + 1) * length; i++) cache[positions[i]!] = tokens[i]!;
      const read = String.fromCharCode(...cache.slice(0, positions[(index + 1) * length - 1]! + 1));
      const [prompt, text] = Object.entries(this.#says).find(([start]) => read.startsWith(start)) ?? ['', ''];
      logits[index * 300 + (Buffer.from(text)[read.length - prompt.length] ?? 256)] = 50;
      logits[index * 300 + 299] = 100;
    }
    return { outputs: entry === 'generate' ? { logits } : {}, durationMs: 0 };
  }
}

describe('writeTexts', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer();
  });

  const modelOf = (engine: TextModel['engine'], contextLength: number, batchSize = 1): TextModel => ({
    ...{ engine, plan: batchOf(batchSize), tokenizer, contextLength },
    ...plainText(tokenizer),
  });
  const write = (engine: TextModel['engine'], contextLength: number, options: SampleOptions) =>
    writtenText(modelOf(engine, contextLength), checkSampleOptions(options));

  test('goes on from the prompt, in whole characters, until the end of text', async () => {
    const engine = new SpellingEngine({ ab: 'né€' });
    const heard: string[] = [];
    const report = await write(engine, 20, { prompt: 'ab', onText: (text) => heard.push(text) });
    expect(report).toMatchObject({ prompt: 'ab', text: 'né€', numTokens: 6, finishReason: 'endOfText' });
    expect(heard).toEqual(['n', 'é', '€']);
    // The prompt but for its last token, then a token a run.
    expect(engine.runs).toEqual([
      'prefill 0',
      ...[1, 2, 3, 4, 5, 6, 7].map((position) => `generate ${position}`),
    ]);
  });

  test('a long prompt is read in parts, the last of which begins where it fits', async () => {
    const engine = new SpellingEngine({ 123456789: 'xyz' });
    const report = await write(engine, 10, { prompt: '123456789' });
    expect(engine.runs).toEqual(['prefill 0', 'prefill 4', 'generate 8']);
    expect(report).toMatchObject({ text: 'x', finishReason: 'contextLength' });
    const tight = new SpellingEngine({ 123456: 'xyz' });
    expect(await write(tight, 7, { prompt: '123456' })).toMatchObject({ text: 'x' });
    expect(tight.runs).toEqual(['prefill 0', 'prefill 3', 'generate 5']);
  });

  test('a prompt that fills the context leaves nothing to write, a longer one is refused', async () => {
    const engine = new SpellingEngine({ 1234: 'x' });
    expect(await write(engine, 4, { prompt: '1234' })).toMatchObject({
      text: '',
      numTokens: 0,
      finishReason: 'contextLength',
    });
    expect(engine.runs).toEqual([]);
    await expect(write(engine, 3, { prompt: '1234' })).rejects.toMatchObject({
      code: 'ERR_COMPACT_ARGUMENT',
      op: 'prompt',
      received: '4 tokens',
    });
  });

  test('ends at the length asked for; without a prompt it starts from the end of text', async () => {
    const engine = new SpellingEngine({ '\u0100': 'abcdef' });
    const report = await write(engine, 8, { maxNewTokens: 3 });
    expect(report).toMatchObject({ text: 'abc', numTokens: 3, finishReason: 'length' });
  });

  test('ends at a stop string, of which nothing is told', async () => {
    const heard: string[] = [];
    const engine = new SpellingEngine({ '-': 'a, b. Then' });
    const onText = (text: string) => heard.push(text);
    const report = await write(engine, 30, { prompt: '-', stop: ['. T', '!'], onText });
    expect(report).toMatchObject({ text: 'a, b', numTokens: 7, finishReason: 'stop' });
    expect(heard.join('')).toBe('a, b');
  });

  test('several prompts, two at a time, are written as each alone', async () => {
    const says = { a: 'one', 123456: 'the second', xy: '3' };
    const prompts = Object.keys(says).map((prompt) => checkSampleOptions({ prompt }));
    const pieces = prompts.map(() => '');
    const writing = writeTexts(modelOf(new SpellingEngine(says, 2), 40, 2), prompts);
    for (;;) {
      const { done, value } = await writing.next();
      if (done === true) {
        const texts = prompts.map(({ prompt }) => says[prompt as unknown as keyof typeof says]);
        expect(value.map(({ text }) => text)).toEqual(texts);
        expect(value.map(({ finishReason }) => finishReason)).toEqual(prompts.map(() => 'endOfText'));
        expect(pieces).toEqual(texts);
        return;
      }
      pieces[value.index] += value.text;
    }
  });

  test('a prompt with half of a surrogate pair is refused: no token could say it', async () => {
    const writing = write(new SpellingEngine({ a: 'a' }), 8, { prompt: 'a\ud800b' });
    await expect(writing).rejects.toMatchObject({ code: 'ERR_COMPACT_ARGUMENT', op: 'prompt' });
  });

  test('messages need a chat template, and no prompt beside them', async () => {
    const messages = [{ role: 'user', content: 'hello' }] as const;
    const engine = new SpellingEngine({ a: 'a' });
    await expect(write(engine, 8, { messages })).rejects.toMatchObject({ op: 'messages' });
    await expect(write(engine, 8, { messages, prompt: 'a' })).rejects.toMatchObject({ received: 'both' });
  });

  test('control tokens in a prompt are text unless asked for; what is told is the text of the report', async () => {
    const path = join(__dirname, '../fixtures/tokenizers/sentencepiece-bpe.json');
    const { tokenizer: config } = JSON.parse(readFileSync(path, 'utf8')) as { tokenizer: object };
    const sentencePiece = tokenizerFromFiles('sentencepiece', { 'tokenizer.json': JSON.stringify(config) });
    // Says `▁a`, `b`, the two bytes of é, and `</s>`.
    const says = [6, 5, 0xc3 + 7, 0xa9 + 7, 2];
    const writeIt = async (options: { splitSpecialTokens?: boolean }) => {
      const read: number[] = [];
      let numWritten = 0;
      const engine = {
        run: async (entry: string, { inputs }: RunOptions = {}): Promise<RunResult> => {
          const { tokens, positions } = inputs as Record<'tokens' | 'positions', Int32Array>;
          for (const [i, position] of positions.entries()) read[position] = tokens[i]!;
          const logits = new Float32Array(263);
          if (entry === 'generate') logits[says[numWritten++]!] = 50;
          return { outputs: { logits }, durationMs: 0 };
        },
      };
      const heard: string[] = [];
      const model = { ...modelOf(engine, 16), tokenizer: sentencePiece, ...plainText(sentencePiece) };
      const onText = (piece: string) => heard.push(piece);
      const report = await writtenText(model, checkSampleOptions({ prompt: 'a</s>', ...options, onText }));
      return { report, heard, read };
    };
    const asText = await writeIt({});
    expect(asText.heard).toEqual([' a', 'b', 'é']);
    expect(asText.report).toMatchObject({ text: ' abé', finishReason: 'endOfText' });
    expect(asText.read.slice(5, 9)).toEqual(says.slice(0, 4));
    const asControl = await writeIt({ splitSpecialTokens: false });
    expect(asControl.read.slice(0, 3)).toEqual([6, 2, 6]);
    expect(asControl.heard.join('')).toBe(asControl.report.text);
  });
});
