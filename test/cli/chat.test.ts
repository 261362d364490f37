import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Conversation } from '../../lib/cli/conversation.js';
import { objects, RecipeFolder } from './fixture-recipe.js';
import { runCommand } from './run-command.js';

const template =
  '{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}' +
  '{% if add_generation_prompt %}assistant: {% endif %}';
const flags = ['-n', '6', '--temperature', '0', '--threads', '1', '--json'];

describe('chat', () => {
  const folder = new RecipeFolder();
  let checkpoint: string;
  const templatePath = () => join(checkpoint, 'chat_template.jinja');
  afterAll(() => folder[Symbol.dispose]());
  beforeAll(async () => {
    const { path, output } = folder.recipe({ sequenceLength: 128, maxSteps: 2 });
    await runCommand(['train', path, '--quiet']);
    checkpoint = join(output, 'checkpoint-2');
    writeFileSync(templatePath(), template);
  });

  const chat = (input: string, args: readonly string[] = []) =>
    runCommand(['chat', checkpoint, ...flags, ...args], { onStart: ({ stdin }) => stdin!.end(input) });
  const answerTo = async (prompt: string): Promise<unknown> =>
    objects((await runCommand(['sample', checkpoint, '-p', prompt, ...flags])).stdout)[0]!['text'];

  test('answers line by line, by the template, with all that was said before', async () => {
    const { code, stdout, stderr } = await chat('hi\n\nand\n/reset\nhi\n/exit\nnot read\n', [
      '--system',
      'Be.',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const answers = objects(stdout);
    expect(answers.map(({ type, prompt }) => [type, prompt])).toEqual([
      ['answer', 'hi'],
      ['answer', 'and'],
      ['answer', 'hi'],
    ]);
    const start = 'system: Be.\nuser: hi\nassistant: ';
    const first = await answerTo(start);
    expect(answers[0]!['text']).toBe(first);
    expect(answers[1]!['text']).toBe(await answerTo(`${start}${String(first)}\nuser: and\nassistant: `));
    expect(answers[2]!['text']).toBe(first);
  });

  test('a model without a template is refused before the first line is read', async () => {
    rmSync(templatePath());
    const { code, stdout } = await chat('hi\n');
    writeFileSync(templatePath(), template);
    expect(code).toBe(2);
    expect(stdout).toMatch(/ERR_COMPACT_ARGUMENT/);
  });
});

test('a conversation leaves out its oldest turns where the context has no room for an answer', () => {
  const countPromptTokens = ({ messages }: { messages?: readonly { content: string }[] }) =>
    messages!.reduce((sum, { content }) => sum + content.length, 0);
  const sampler = { countPromptTokens, contextLength: 20 } as never;
  const conversation = new Conversation(sampler, { system: 'ab', maxNewTokens: 100 });
  const contents = () => conversation.messages.map(({ content }) => content).join(' ');
  expect(conversation.add('12345')).toBe(0);
  conversation.answered('678');
  expect(conversation.add('12345')).toBe(0); // 15 of 20: a quarter is left
  expect(contents()).toBe('ab 12345 678 12345');
  conversation.answered(undefined);
  expect(contents()).toBe('ab 12345 678');
  expect(conversation.add('123456')).toBe(2);
  expect(contents()).toBe('ab 123456');
  conversation.answered('y');
  expect(conversation.add('x'.repeat(50))).toBe(2); // asked all the same
  conversation.reset();
  expect(contents()).toBe('ab');
});
