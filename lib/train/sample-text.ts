import { compactError } from '../errors.js';
import { encodeBounded, TextStream } from '../data/index.js';
import { emptyPlaces, placeDocument } from '../data/places.js';
import type { Tokenizer } from '../data/index.js';
import type { Engine } from '../runtime/index.js';
import { checkSampleOptions, drawToken, uniformNumbers } from './sampling.js';
import type { SampleOptions, SampleReport } from './types.js';

/**
 * Writes text, one token a run of the `generate` entry. The context is the last `sequenceLength` tokens.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_TOKENIZER, ERR_COMPACT_ABORTED
 */
export async function sampleText(
  engine: Pick<Engine, 'run'>,
  model: {
    readonly tokenizer: Tokenizer;
    readonly sequenceLength: number;
    /** Tokens that a token sees, itself included. Default: all before it. */
    readonly slidingWindow?: number;
  },
  given: SampleOptions = {},
): Promise<SampleReport> {
  const { tokenizer, sequenceLength, slidingWindow = Infinity } = model;
  const options = checkSampleOptions(given);
  const { maxNewTokens, seed, signal, onText } = options;
  const uniform = uniformNumbers(seed);
  const ids = startingIds(tokenizer, options);
  const numPromptTokens = ids.length;
  const places = sequenceLength > slidingWindow ? emptyPlaces(sequenceLength) : undefined;
  if (places !== undefined) placeDocument(places, 0, { start: 0, end: sequenceLength }, slidingWindow);
  const start = performance.now();
  const stream = new TextStream(tokenizer, ids);
  let text = '';
  const tell = (piece: string): void => {
    text += piece;
    if (piece !== '') onText?.(piece);
  };
  let finishReason: SampleReport['finishReason'] = 'length';
  while (ids.length - numPromptTokens < maxNewTokens) {
    const context = ids.slice(-sequenceLength);
    const tokens = new Int32Array(sequenceLength);
    tokens.set(context);
    const { outputs } = await engine.run('generate', {
      inputs: { tokens, ...places },
      scalars: { row: context.length - 1 },
      signal,
    });
    // Rows of the vocabulary that the tokenizer has no text for are left out.
    const logits = (outputs['logits'] as Float32Array).subarray(0, tokenizer.vocabularySize);
    const id = drawToken(logits, options, uniform());
    if (id === tokenizer.endOfTextId) {
      finishReason = 'endOfText';
      break;
    }
    ids.push(id);
    tell(stream.push(id));
  }
  tell(stream.end());
  const numTokens = ids.length - numPromptTokens;
  return {
    prompt: options.prompt ?? '',
    text,
    numTokens,
    tokensPerSecond: numTokens / Math.max(1e-9, (performance.now() - start) / 1000),
    finishReason,
  };
}

function startingIds(
  tokenizer: Tokenizer,
  { prompt = '', splitSpecialTokens }: Pick<SampleOptions, 'prompt' | 'splitSpecialTokens'>,
): number[] {
  if (!prompt.isWellFormed())
    throw compactError('ERR_COMPACT_ARGUMENT', 'the prompt is not text', {
      op: 'prompt',
      expected: 'text that UTF-8 can hold',
      received: `${JSON.stringify(prompt)}, with half of a surrogate pair`,
    });
  const ids = Array.from(encodeBounded(tokenizer, prompt, { splitSpecialTokens }));
  if (ids.length > 0) return ids;
  if (tokenizer.endOfTextId !== undefined) return [tokenizer.endOfTextId];
  const line = Array.from(encodeBounded(tokenizer, '\n'));
  if (line.length > 0) return line;
  throw compactError('ERR_COMPACT_ARGUMENT', 'there is nothing to go on from', {
    op: 'prompt',
    expected: 'a text of at least one token',
    received: JSON.stringify(prompt),
  });
}
