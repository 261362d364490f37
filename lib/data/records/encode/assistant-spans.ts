import type { MessagesExample } from '../kinds/index.js';
import type { ChatTemplate } from '../templates/chat-template.js';
import type { Span } from '../templates/marks.js';
import type { Tokenizer } from '../../types.js';

/** What a conversation is as text, and where in it the assistant's messages are that are learnt. */
export interface LearntChat {
  readonly text: string;
  readonly spans: readonly Span[];
}

/**
 * Renders a conversation and finds what of it the assistant says, its end of turn included. Where the template encloses that
 * by `{% generation %}`, it is what is enclosed. Else it is told by rendering the conversation up to a message, with the
 * prompt for the answer, and up to its end: what the second text has beyond the first is the message, up to its last control
 * token where only white space follows that. A message that ends in other words later in a conversation (templates drop
 * thoughts of earlier turns) goes up to the same control token.
 *
 * @throws ERR_COMPACT_CHAT_TEMPLATE where that does not tell it
 */
export function renderLearnt(
  template: ChatTemplate,
  example: MessagesExample,
  tokenizer: Tokenizer,
): LearntChat {
  const { text, spans: generated } = template.render(example);
  const { messages } = example;
  const answers = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
  const isLearnt = (index: number): boolean => messages[index]!.weight !== 0;
  if (generated === undefined) {
    const spans = answers
      .filter(isLearnt)
      .map((index) => findSpan(template, example, tokenizer, text, index));
    return { text, spans };
  }
  if (answers.every(isLearnt)) return { text, spans: generated };
  if (generated.length !== answers.length)
    throw template.error('does not show which message is which', {
      expected: `{% generation %} once for each of the ${answers.length} messages of the assistant, as some weigh 0`,
      received: `${generated.length} times`,
    });
  return { text, spans: generated.filter((_, i) => isLearnt(answers[i]!)) };
}

function findSpan(
  template: ChatTemplate,
  { messages, tools }: MessagesExample,
  tokenizer: Tokenizer,
  whole: string,
  index: number,
): Span {
  const before = template.render(
    { messages: messages.slice(0, index), tools },
    { addGenerationPrompt: true },
  ).text;
  const after = template.render({ messages: messages.slice(0, index + 1), tools }).text;
  if (after.startsWith(before) && whole.startsWith(before)) {
    const start = before.length;
    const { length, endToken } = turnOf(tokenizer, after.slice(start));
    if (whole.startsWith(after)) return [start, start + length];
    const end = tokenizer.cut(whole.slice(start)).find(({ text }) => text === endToken);
    if (end !== undefined) return [start, start + end.start + end.text.length];
  }
  throw template.error(`does not show what the assistant says in message ${index + 1}`, {
    expected: 'a text that begins with that of the messages before it',
    remedy:
      'Enclose what an assistant says, its end included, by {% generation %} and {% endgeneration %} in the template',
  });
}

/** Length of a turn at the start of what comes behind its prompt, and the control token that it ends in. */
function turnOf(
  tokenizer: Tokenizer,
  tail: string,
): { readonly length: number; readonly endToken: string | undefined } {
  const sections = tokenizer.cut(tail);
  const last = sections.findLast(({ id }) => id !== undefined);
  const length = last === undefined ? 0 : last.start + last.text.length;
  const isEnd = last !== undefined && tail.slice(length).trim() === '';
  return isEnd ? { length, endToken: last.text } : { length: tail.length, endToken: undefined };
}
