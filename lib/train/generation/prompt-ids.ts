import { encodeBounded } from '../../data/index.js';
import { compactError } from '../../errors.js';
import { shown } from '../../options.js';
import type { SampleOptions } from '../options/types.js';
import type { TextModel } from './text-model.js';

type Prompt = Pick<SampleOptions, 'prompt' | 'messages' | 'splitSpecialTokens'>;

/**
 * The tokens that a text goes on from: those of a prompt, or of a conversation up to where its next answer begins. Without
 * any, the end of a text, a new line where there is no such token.
 *
 * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE
 */
export const promptIds = (model: TextModel, { prompt, messages, splitSpecialTokens }: Prompt): number[] =>
  messages === undefined
    ? plainIds(model, prompt ?? '', splitSpecialTokens)
    : chatIds(model, messages, prompt);

/**
 * The same, where they are no more than the context has.
 * @throws ERR_COMPACT_ARGUMENT also where they are
 */
export function fittingPromptIds(model: TextModel, prompt: Prompt): number[] {
  const ids = promptIds(model, prompt);
  if (ids.length <= model.contextLength) return ids;
  throw compactError('ERR_COMPACT_ARGUMENT', 'the prompt is longer than the context', {
    op: prompt.messages === undefined ? 'prompt' : 'messages',
    expected: `at most ${model.contextLength} tokens`,
    received: `${ids.length} tokens`,
    remedy: 'Shorten it, or open the sampler with a larger contextLength, which the model may have',
  });
}

function plainIds(model: TextModel, prompt: string, splitSpecialTokens: boolean | undefined): number[] {
  const { tokenizer, addsBos } = model;
  requireText(prompt, 'prompt');
  const start = addsBos && tokenizer.bosTokenId !== undefined ? [tokenizer.bosTokenId] : [];
  const ids = [...start, ...Array.from(encodeBounded(tokenizer, prompt, { splitSpecialTokens }))];
  if (ids.length > 0) return ids;
  if (tokenizer.endOfTextId !== undefined) return [tokenizer.endOfTextId];
  const line = Array.from(encodeBounded(tokenizer, '\n'));
  if (line.length > 0) return line;
  throw compactError('ERR_COMPACT_ARGUMENT', 'there is nothing to go on from', {
    op: 'prompt',
    expected: 'a text of at least one token',
    received: shown(prompt),
  });
}

function chatIds(
  { tokenizer, chatTemplate }: TextModel,
  messages: NonNullable<Prompt['messages']>,
  prompt: string | undefined,
): number[] {
  if (prompt !== undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', 'a text goes on from a prompt or from messages', {
      op: 'messages',
      expected: 'one of the two',
      received: 'both',
    });
  for (const { content } of messages) requireText(content, 'messages');
  if (chatTemplate === undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', 'the model has no chat template', {
      op: 'messages',
      expected: 'a model with chat_template.jinja, or chat_template in its tokenizer_config.json',
      received: tokenizer.name,
      remedy: 'Give a prompt instead of messages',
    });
  const conversation = { messages: messages.map((message) => ({ ...message })), tools: undefined };
  const { text } = chatTemplate.render(conversation, { addGenerationPrompt: true });
  return Array.from(encodeBounded(tokenizer, text, { splitSpecialTokens: false }));
}

function requireText(text: string, op: string): void {
  if (text.isWellFormed()) return;
  throw compactError('ERR_COMPACT_ARGUMENT', `the ${op} ${op === 'prompt' ? 'is' : 'are'} not text`, {
    op,
    expected: 'text that UTF-8 can hold',
    received: `${JSON.stringify(text)}, with half of a surrogate pair`,
  });
}
