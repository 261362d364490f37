import { shown } from '../../../options.js';
import type { DataRecord, RecordPlace } from '../readers/index.js';
import type { ChatMessage, ChatRole, ChatTool, ChatToolCall } from './example.js';
import { chatRoles } from './example.js';
import { badRecord, checkWellFormed, isGiven, isObject, listOf, parseJson, textOf } from './fields.js';
import type { Kind } from './kind.js';

/** What other forms call the same. */
const remediesOfRoles: Readonly<Record<string, string>> = {
  developer: 'Write system: it is the newer name of the same role',
  human: 'Write user',
  gpt: 'Write assistant',
  bot: 'Write assistant',
  model: 'Write assistant',
  function: 'Write tool, and the calls as `tool_calls` of the assistant',
};

export const messagesKind: Kind = {
  fields: '`messages`',
  matches: (fields) => isGiven(fields['messages']),
  read({ place, fields }) {
    if (!isGiven(fields['messages'])) throw noMessages(place, fields);
    const messages = readMessages(place, fields['messages'], 'messages');
    checkAnswers(place, messages, 'messages');
    if (!messages.some(({ role, weight }) => role === 'assistant' && weight !== 0))
      throw badRecord(place, 'has nothing to learn', {
        expected: 'a message of the role assistant whose weight is not 0',
        received: messages.map(({ role }) => role).join(', ') || 'no messages',
      });
    return { kind: 'messages', messages, tools: readTools(place, fields) };
  },
};

/** The messages of a list. */
export function readMessages(place: RecordPlace, value: unknown, name: string): readonly ChatMessage[] {
  const given = listOf(place, value, name);
  checkWellFormed(place, given, name);
  return given.map((message, i) => readMessage(place, message, `${name}[${i}]`));
}

function noMessages(place: RecordPlace, fields: DataRecord['fields']): Error {
  return badRecord(place, 'has no `messages`', {
    expected: 'a list of messages, { "role": ..., "content": ... }',
    remedy: isGiven(fields['conversations'])
      ? 'Write `conversations` as `messages`, with `role` and `content` in place of `from` and `value`'
      : undefined,
  });
}

function readMessage(place: RecordPlace, message: unknown, name: string): ChatMessage {
  if (!isObject(message))
    throw badRecord(place, `has no message in \`${name}\``, {
      expected: 'an object, { "role": ..., "content": ... }',
      received: shown(message),
    });
  // Tables give every message every column.
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => isGiven(value)));
  const role = readRole(place, given['role'], name);
  if (isGiven(given['function_call']))
    throw badRecord(place, `has a \`function_call\` in \`${name}\``, {
      expected: 'calls in `tool_calls`',
      remedy: 'Write { "tool_calls": [{ "type": "function", "function": ... }] }',
    });
  const calls = readCalls(place, given['tool_calls'], role, name);
  const weight = readWeight(place, given['weight'], role, name);
  const content = readContent(place, given['content'], calls !== undefined, `${name}.content`);
  if (role === 'assistant' && content === '' && calls === undefined)
    throw badRecord(place, `has an empty completion in \`${name}\``, {
      expected: 'some text in the `content` of an assistant, or `tool_calls`',
      remedy: 'Leave the message out, with what follows it',
    });
  if (given['tool_call_id'] !== undefined) textOf(place, given['tool_call_id'], `${name}.tool_call_id`);
  const { tool_calls: _, weight: __, ...others } = given;
  return {
    ...others,
    role,
    content,
    ...(calls && { tool_calls: calls }),
    ...(weight !== undefined && { weight }),
  };
}

function readRole(place: RecordPlace, role: unknown, name: string): ChatRole {
  const known = chatRoles.find((candidate) => candidate === role);
  if (known !== undefined) return known;
  throw badRecord(place, `has a wrong role in \`${name}\``, {
    expected: `\`role\`, one of ${chatRoles.join(', ')}`,
    received: shown(role),
    remedy:
      typeof role === 'string' && Object.hasOwn(remediesOfRoles, role) ? remediesOfRoles[role] : undefined,
  });
}

/** Text, or the joined texts of parts. */
function readContent(
  place: RecordPlace,
  content: unknown,
  mayBeAbsent: boolean,
  name: string,
): string | null {
  if (!isGiven(content) && mayBeAbsent) return null;
  if (!Array.isArray(content)) return textOf(place, content, name);
  const parts = content.map((part: unknown, i) => {
    if (isObject(part) && part['type'] === 'text') return textOf(place, part['text'], `${name}[${i}].text`);
    throw badRecord(place, `has a part in \`${name}[${i}]\` that is no text`, {
      expected: '{ "type": "text", "text": ... }',
      received: shown(part),
      remedy: 'Models of text read no images, sound or files: leave the record out',
    });
  });
  return parts.join('');
}

function readWeight(
  place: RecordPlace,
  weight: unknown,
  role: ChatRole,
  name: string,
): ChatMessage['weight'] {
  if (weight === undefined) return undefined;
  if (role === 'assistant' && (weight === 0 || weight === 1)) return weight;
  throw badRecord(place, `has a wrong weight in \`${name}\``, {
    expected: '`weight` 0 or 1, in messages of the assistant alone',
    received: `${shown(weight)} in a message of the role ${role}`,
  });
}

function readCalls(
  place: RecordPlace,
  calls: unknown,
  role: ChatRole,
  name: string,
): readonly ChatToolCall[] | undefined {
  if (calls === undefined) return undefined;
  const list = listOf(place, calls, `${name}.tool_calls`);
  if (list.length === 0) return undefined;
  if (role !== 'assistant')
    throw badRecord(place, `has \`tool_calls\` in \`${name}\` of the role ${role}`, {
      expected: '`tool_calls` in messages of the assistant alone',
    });
  return list.map((call, i) => readCall(place, call, `${name}.tool_calls[${i}]`));
}

function readCall(place: RecordPlace, call: unknown, name: string): ChatToolCall {
  const called = isObject(call) ? call['function'] : undefined;
  if (!isObject(call) || !isObject(called) || (isGiven(call['type']) && call['type'] !== 'function'))
    throw badRecord(place, `has no call of a function in \`${name}\``, {
      expected: '{ "type": "function", "function": { "name": ..., "arguments": ... } }',
      received: shown(call),
    });
  const functionName = textOf(place, called['name'], `${name}.function.name`);
  const { arguments: given = '{}' } = called;
  const parsed = typeof given === 'string' ? parseJson(place, given, `${name}.function.arguments`) : given;
  checkWellFormed(place, parsed, name);
  if (!isObject(parsed))
    throw badRecord(place, `has no arguments in \`${name}.function\``, {
      expected: 'an object, or its JSON',
      received: shown(given),
    });
  const id = isGiven(call['id']) ? textOf(place, call['id'], `${name}.id`) : undefined;
  return {
    ...(id !== undefined && { id }),
    type: 'function',
    function: { name: functionName, arguments: parsed },
  };
}

/** The answer of a tool that names its call comes after that call. */
export function checkAnswers(place: RecordPlace, messages: readonly ChatMessage[], name: string): void {
  const called = new Set<string>();
  for (const [i, { tool_calls = [], tool_call_id: answered }] of messages.entries()) {
    for (const { id } of tool_calls) if (id !== undefined) called.add(id);
    if (answered === undefined || called.has(answered)) continue;
    throw badRecord(place, `answers a call in \`${name}[${i}]\` that was not made`, {
      expected: 'the `id` of one of the `tool_calls` before it in `tool_call_id`',
      received: shown(answered),
    });
  }
}

/** `tools`, or `functions`, their older form. */
export function readTools(place: RecordPlace, fields: DataRecord['fields']): readonly ChatTool[] | undefined {
  const { tools, functions } = fields;
  if (!isGiven(tools) && !isGiven(functions)) return undefined;
  if (isGiven(tools) && isGiven(functions))
    throw badRecord(place, 'has both `tools` and `functions`', { expected: 'one of them' });
  const name = isGiven(tools) ? 'tools' : 'functions';
  const list = listOf(place, isGiven(tools) ? tools : functions, name);
  checkWellFormed(place, list, name);
  const read = list.map((item, i): ChatTool => {
    const described = name === 'functions' ? item : isObject(item) ? item['function'] : undefined;
    if (isObject(described) && typeof described['name'] === 'string')
      return { type: 'function', function: described as ChatTool['function'] };
    throw badRecord(place, `describes no function in \`${name}[${i}]\``, {
      expected:
        name === 'tools'
          ? '{ "type": "function", "function": { "name": ..., "parameters": ... } }'
          : '{ "name": ..., "parameters": ... }',
      received: shown(item),
    });
  });
  return read.length === 0 ? undefined : read;
}
