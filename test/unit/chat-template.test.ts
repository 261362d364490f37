/** Chat templates give the text of transformers, and none of them can hold up or end the process. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChatTemplate } from '../../lib/data/records/templates/chat-template.js';
import {
  chatFixtureNames,
  chatTemplate,
  readChatFixture,
  withoutGenerationTags,
} from '../helpers/chat-fixtures.js';

describe.each(chatFixtureNames)('%s', (name) => {
  const { cases } = readChatFixture(name);
  const chats = cases.map((each) => ({ ...each, tools: each.tools ?? undefined }));

  test('gives the texts of transformers', () => {
    const template = chatTemplate(name);
    for (const chat of chats) {
      expect(template.render(chat).text).toBe(chat.text);
      expect(template.render(chat, { addGenerationPrompt: true }).text).toBe(chat.prompt);
    }
  });

  test('gives the same without tags around what is generated', () => {
    const template = chatTemplate(name, withoutGenerationTags);
    for (const chat of chats) expect(template.render(chat)).toEqual({ text: chat.text, spans: undefined });
  });
});

const make = (template: string): ChatTemplate =>
  new ChatTemplate({ path: 'a', template, toolTemplate: undefined, tokens: { bos_token: '<s>' } });
const chat = { messages: [{ role: 'user', content: 'a' }], tools: undefined } as const;
const render = (template: string): string => make(template).render(chat).text;

test('Python strips the letters that are given, and loops over what is not defined do nothing', () => {
  expect(render("{{ '\\n a \\n'.strip('\\n') }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'xxaxx'.rstrip('yx') }}")).toBe(
    ' a |axx|xxa',
  );
  expect(render("{{ ' a\\x85'.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.strip().rstrip('a') }}|")).toBe(
    'a|a ||',
  );
  expect(render('{% for a in messages[0].tool_calls %}x{% else %}y{% endfor %}')).toBe('y');
  expect(render('{% for a in none_such if a %}x{% endfor %}.')).toBe('.');
});

describe('what is generated', () => {
  const spansOf = (template: string): [string, string[]] => {
    const { text, spans } = make(template).render(chat);
    return [text, spans!.map(([start, end]) => text.slice(start, end))];
  };

  // The white space is what Jinja 3.1.6 leaves of the same templates with trim_blocks and lstrip_blocks.
  test.each([
    ['a{% generation %}b{% endgeneration %}c', 'abc', ['b']],
    ['a\n  {% generation %}\nb\n  {% endgeneration %}\nc', 'a\nb\nc', ['b\n']],
    ['a\n {%- generation -%}\n b \n{%- endgeneration -%}\n c', 'abc', ['b']],
    ['a {% generation %} b {% endgeneration %} c', 'a  b  c', [' b ']],
    ['{% for i in range(2) %}{% generation %}{{ i }}{% endgeneration %},{% endfor %}', '0,1,', ['0', '1']],
    ['{% generation %}{% endgeneration %}', '', ['']],
  ])('%j', (template, text, spans) => expect(spansOf(template)).toEqual([text, spans]));

  test('without its start or end it is refused', () => {
    for (const template of ['{% generation %}a', 'a{% endgeneration %}'])
      expect(() => render(template)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CHAT_TEMPLATE' }));
  });
});

test('tokens have their names, weights are not told, and the date has the letters of strftime', () => {
  expect(render('{{ bos_token }}{{ eos_token }}{{ messages[0].content }}')).toBe('<s>a');
  const weighed = { messages: [{ role: 'assistant', content: 'a', weight: 0 }] as const, tools: undefined };
  expect(make('{{ messages[0] | tojson }}').render(weighed).text).toBe(
    '{"role": "assistant", "content": "a"}',
  );
  expect(render("{{ strftime_now('%d %b %Y %H:%M%%') }}")).toMatch(/^\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d%$/);
  expect(render('{{ range(3) | join }}{{ range(5, 1, -2) | join }}')).toBe('01253');
});

describe('a template that', () => {
  test.each([
    ['does not parse', '{% if %}', 'cannot be understood'],
    ['is not closed', '{% for m in messages %}', 'cannot be understood'],
    ['raises', "{{ raise_exception('no system role') }}", 'no system role'],
    ['calls what is not there', '{{ nothing.there() }}', 'refuses a conversation'],
    ['loops', '{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}', ''],
    ['counts without end', '{{ range(1000000000) }}', 'a range of more than'],
    [
      'doubles a list',
      '{% set n = namespace(l=[1]) %}{% for i in range(64) %}{% set n.l = n.l + n.l %}{% endfor %}',
      'a list of more than',
    ],
    [
      'doubles a text',
      "{% set n = namespace(t='x') %}{% for i in range(64) %}{% set n.t = n.t + n.t %}{% endfor %}",
      'a text of more than',
    ],
    ['calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'refuses a conversation'],
    ['is nested without measure', `{{${'('.repeat(50_000)}}}`, 'cannot be understood'],
    ['holds marks', 'a\uFDD0', 'cannot be understood'],
  ])('%s is a typed error', (_, template, message) => {
    expect(() => render(template)).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_CHAT_TEMPLATE',
        message: expect.stringContaining(message),
      }),
    );
  });
});

describe('the files of a model', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compact-templates-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const write = (name: string, content: unknown): Promise<void> =>
    writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  const loaded = async (tools?: []): Promise<string | undefined> =>
    (await ChatTemplate.load(folder))?.render({ ...chat, tools }).text;

  test('hold a template as chat_template.jinja before that of tokenizer_config.json, or none', async () => {
    expect(await loaded()).toBeUndefined();
    await write('tokenizer_config.json', {
      bos_token: { content: '<b>' },
      chat_template: 'config {{ bos_token }}',
    });
    await write('special_tokens_map.json', { bos_token: '<c>', eos_token: '<e>' });
    expect(await loaded()).toBe('config <b>');
    await write('chat_template.jinja', 'file {{ eos_token }}\n');
    expect(await loaded()).toBe('file <e>');
  });

  test('may hold several: default, and tool_use for conversations with tools', async () => {
    const template = [
      { name: 'default', template: 'd' },
      { name: 'tool_use', template: 't' },
    ];
    await write('tokenizer_config.json', { chat_template: template });
    expect(await loaded()).toBe('d');
    expect(await loaded([])).toBe('t');
  });

  test('of another form are refused', async () => {
    const refused = (): Promise<void> =>
      expect(loaded()).rejects.toMatchObject({ code: 'ERR_COMPACT_CHAT_TEMPLATE' });
    await write('tokenizer_config.json', { chat_template: 5 });
    await refused();
    await write('tokenizer_config.json', { chat_template: [null, { name: 'rag', template: 'x' }] });
    await refused();
    await write('tokenizer_config.json', '{');
    await refused();
  });
});
