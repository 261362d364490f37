import { compactError } from '../errors.js';
import type { Tokenizer } from '../data/index.js';
import type { Engine } from '../runtime/index.js';
import { checkSampleOptions, drawToken, uniformNumbers } from './sampling.js';
import type { SampleOptions, SampleReport } from './types.js';

/**
 * Writes text, one token a run of the `generate` entry. The context is the last `sequenceLength` tokens.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_ABORTED
 */
export async function sampleText(
  engine: Pick<Engine, 'run'>,
  model: { readonly tokenizer: Tokenizer; readonly sequenceLength: number },
  given: SampleOptions = {},
): Promise<SampleReport> {
  const { tokenizer, sequenceLength } = model;
  const options = checkSampleOptions(given);
  const { maxNewTokens, seed, signal, onText } = options;
  const uniform = uniformNumbers(seed);
  const ids = startingIds(tokenizer, options.prompt);
  const numPromptTokens = ids.length;
  const start = performance.now();
  let text = '';
  let finishReason: SampleReport['finishReason'] = 'length';
  while (ids.length - numPromptTokens < maxNewTokens) {
    const context = ids.slice(-sequenceLength);
    const tokens = new Int32Array(sequenceLength);
    tokens.set(context);
    const { outputs } = await engine.run('generate', {
      inputs: { tokens },
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
    const decoded = tokenizer.decode(ids.slice(numPromptTokens));
    // A character may need several tokens: it is told when it is whole.
    if (!decoded.endsWith('\uFFFD') && decoded !== text) {
      onText?.(decoded.slice(text.length));
      text = decoded;
    }
  }
  const numTokens = ids.length - numPromptTokens;
  return {
    prompt: options.prompt ?? '',
    text: tokenizer.decode(ids.slice(numPromptTokens)),
    numTokens,
    tokensPerSecond: numTokens / Math.max(1e-9, (performance.now() - start) / 1000),
    finishReason,
  };
}

function startingIds(tokenizer: Tokenizer, prompt = ''): number[] {
  const ids = Array.from(tokenizer.encode(prompt));
  if (ids.length > 0) return ids;
  if (tokenizer.endOfTextId !== undefined) return [tokenizer.endOfTextId];
  const line = Array.from(tokenizer.encode('\n'));
  if (line.length > 0) return line;
  throw compactError('ERR_COMPACT_ARGUMENT', 'there is nothing to go on from', {
    op: 'prompt',
    expected: 'a text of at least one token',
    received: JSON.stringify(prompt),
  });
}
