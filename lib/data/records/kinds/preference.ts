import { isDeepStrictEqual } from 'node:util';
import type { DataRecord } from '../readers/index.js';
import { readCompletion } from './completion.js';
import type { ChatMessage, PreferenceExample } from './example.js';
import { badRecord, isGiven } from './fields.js';
import type { Kind } from './kind.js';
import { checkAnswers, readMessages, readTools } from './messages.js';

type Sides = Pick<PreferenceExample, 'chosen' | 'rejected'>;

/** Pairs of a better and a worse answer to one prompt, in the forms that TRL reads. */
export const preferenceKind: Kind = {
  fields: '`chosen` and `rejected`, with `prompt`',
  matches: (fields) => isGiven(fields['chosen']) && isGiven(fields['rejected']),
  read(record) {
    const { chosen, rejected } = record.fields;
    const sides = Array.isArray(chosen) || Array.isArray(rejected) ? conversations(record) : texts(record);
    return { kind: 'preference', ...sides };
  },
};

/** Two continuations of a prompt. */
function texts(record: DataRecord): Sides {
  const { place, fields } = record;
  if (!isGiven(fields['prompt']))
    throw badRecord(place, 'has no `prompt`', {
      expected: 'text in `prompt`, which both answers continue, or messages in `chosen` and `rejected`',
      remedy: 'Write what both texts begin with as `prompt`',
    });
  const [chosen, rejected] = [readCompletion(record, 'chosen'), readCompletion(record, 'rejected')];
  if (chosen.completion === rejected.completion) throw equalAnswers(record);
  return { chosen, rejected };
}

/**
 * Two conversations. What they begin with alike is the prompt, be it messages of `prompt` or of their own; a text in
 * `prompt` beside whole conversations says that once more.
 */
function conversations(record: DataRecord): Sides {
  const { place, fields } = record;
  const { prompt } = fields;
  const shared = Array.isArray(prompt) ? readMessages(place, prompt, 'prompt') : [];
  const whole = (name: string): readonly ChatMessage[] => {
    const messages = [...shared, ...readMessages(place, fields[name], name)];
    checkAnswers(place, messages, shared.length === 0 ? name : `prompt + ${name}`);
    return messages;
  };
  const [chosen, rejected] = [whole('chosen'), whole('rejected')];
  if (isDeepStrictEqual(chosen, rejected)) throw equalAnswers(record);
  const differing = chosen.findIndex((message, i) => !isDeepStrictEqual(message, rejected[i]));
  const numShared = differing < 0 ? chosen.length : differing;
  const tools = readTools(place, fields);
  const side = (name: string, messages: readonly ChatMessage[]): Sides['chosen'] => {
    if (!messages.slice(numShared).some(({ role, weight }) => role === 'assistant' && weight !== 0))
      throw badRecord(place, `has no answer in \`${name}\``, {
        expected: 'a message of the role assistant behind what both conversations begin with',
        received: messages.map(({ role }) => role).join(', ') || 'no messages',
      });
    return {
      kind: 'messages',
      messages: messages.map((message, i) =>
        i < numShared && message.role === 'assistant' ? { ...message, weight: 0 } : message,
      ),
      tools,
    };
  };
  return { chosen: side('chosen', chosen), rejected: side('rejected', rejected) };
}

const equalAnswers = ({ place }: DataRecord): Error =>
  badRecord(place, 'has equal answers', {
    expected: 'a better one in `chosen` and another, worse one in `rejected`',
    remedy: 'Leave the record out: it says nothing of which is better',
  });
