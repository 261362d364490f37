import { isDeepStrictEqual } from 'node:util';
import type { DataRecord } from '../readers/index.js';
import { readCompletion } from './completion.js';
import type { ChatMessage, PreferenceExample } from './example.js';
import { badRecord, isGiven, isObject } from './fields.js';
import type { Kind } from './kind.js';
import { checkAnswers, readMessages, readTools } from './messages.js';

type Sides = Pick<PreferenceExample, 'chosen' | 'rejected'>;

/** Keys of a pair's parts. */
const usualNames = { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' };
/** The same of conversations in the files of OpenAI's API, where the prompt stands in `input`. */
const apiNames = {
  prompt: 'input.messages',
  chosen: 'preferred_output',
  rejected: 'non_preferred_output',
};

/** Pairs of a better and a worse answer to one prompt, in the forms that TRL and OpenAI's API read. */
export const preferenceKind: Kind = {
  fields: '`chosen` and `rejected`, with `prompt`',
  matches: (fields) =>
    [usualNames, apiNames].some(
      ({ chosen, rejected }) => isGiven(fields[chosen]) && isGiven(fields[rejected]),
    ),
  read(record) {
    if (isGiven(record.fields[apiNames.chosen]))
      return { kind: 'preference', ...conversations(withInput(record), apiNames) };
    const { chosen, rejected } = record.fields;
    const sides =
      Array.isArray(chosen) || Array.isArray(rejected) ? conversations(record, usualNames) : texts(record);
    return { kind: 'preference', ...sides };
  },
};

/** What stands in `input`, beside the answers. */
function withInput({ place, fields }: DataRecord): DataRecord {
  const { input, ...others } = fields;
  if (!isObject(input) || !isGiven(input['messages']))
    throw badRecord(place, 'has no `input.messages`', {
      expected: 'the messages that both answers follow, { "input": { "messages": ... } }',
    });
  return { place, fields: { ...others, [apiNames.prompt]: input['messages'], tools: input['tools'] } };
}

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
function conversations(record: DataRecord, names: typeof usualNames): Sides {
  const { place, fields } = record;
  const prompt = fields[names.prompt];
  const shared = Array.isArray(prompt) ? readMessages(place, prompt, names.prompt) : [];
  const whole = (name: string): readonly ChatMessage[] => {
    const messages = [...shared, ...readMessages(place, fields[name], name)];
    checkAnswers(place, messages, shared.length === 0 ? name : `${names.prompt} + ${name}`);
    return messages;
  };
  const [chosen, rejected] = [whole(names.chosen), whole(names.rejected)];
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
  return { chosen: side(names.chosen, chosen), rejected: side(names.rejected, rejected) };
}

const equalAnswers = ({ place }: DataRecord): Error =>
  badRecord(place, 'has equal answers', {
    expected: 'a better one in `chosen` and another, worse one in `rejected`',
    remedy: 'Leave the record out: it says nothing of which is better',
  });
