/** What records say: every kind is told by its fields, and what is wrong is told with its place and its field. */
import { describe, expect, test } from '@jest/globals';
import { readExamples } from '../../lib/data/records/kinds/index.js';
import type { Example, KindOptions, LabelsExample, RecordKind } from '../../lib/data/records/kinds/index.js';
import type { DataRecord } from '../../lib/data/records/readers/index.js';

interface Options extends Partial<KindOptions> {
  readonly kind?: RecordKind;
}

async function read(rows: readonly object[], { kind, ...options }: Options = {}): Promise<Example[]> {
  async function* records(): AsyncGenerator<DataRecord> {
    for (const [i, fields] of rows.entries())
      yield { place: { path: 'data.jsonl', unit: 'line', number: i + 1 }, fields: { ...fields } };
  }
  const examples: Example[] = [];
  for await (const { example } of readExamples(records(), { textField: 'text', ...options }, kind))
    examples.push(example);
  return examples;
}

const readOne = async (row: object, options?: Options): Promise<Example> => (await read([row], options))[0]!;

/** An error at the last of some rows that has all of some words. */
async function expectRefused(
  rows: readonly object[],
  words: readonly string[],
  options?: Options,
): Promise<void> {
  const error: unknown = await read(rows, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'ERR_COMPACT_DATA_RECORD', details: { line: rows.length } });
  const { message } = error as Error;
  expect(message).toContain(`data.jsonl, line ${rows.length}, `);
  for (const word of words) expect(message).toContain(word);
}

const user = { role: 'user', content: 'What is 1 + 1?' };
const assistant = { role: 'assistant', content: '2' };

describe('the kind of a record', () => {
  test.each([
    [{ text: 'a' }, 'text'],
    [{ text: 'a', label: 0 }, 'labels'],
    [{ text: 'a', labels: [0] }, 'labels'],
    [{ prompt: 'a', completion: 'b', id: 7 }, 'completion'],
    [{ prompt: 'a', chosen: 'b', rejected: 'c', text: 'd' }, 'preference'],
    [{ messages: [user, assistant], prompt: 'a' }, 'messages'],
    [{ messages: [user, assistant], text: null, tools: null }, 'messages'],
  ])('%j is %s', async (row, kind) => expect((await readOne(row)).kind).toBe(kind));

  test('can be said, and so be another than the fields tell', async () => {
    expect(await readOne({ text: 'a', label: 0 }, { kind: 'text' })).toEqual({ kind: 'text', text: 'a' });
    await expectRefused([{ text: 'a' }], ['no `prompt`'], { kind: 'completion' });
    await expectRefused([{ text: 'a' }], ['no `messages`'], { kind: 'messages' });
    await expectRefused([{ text: 'a' }], ['no `label`'], { kind: 'labels' });
  });

  test('is one for all records', () =>
    expectRefused(
      [{ text: 'a' }, { text: 'b' }, { prompt: 'a', completion: 'b' }],
      ['of the kind text, as line 1', 'of the kind completion'],
    ));

  test('fields of no kind are listed, with what would be right', async () => {
    await expectRefused([{ body: 'a', id: 1 }], ['body, id', 'textField', '`prompt` and `completion`']);
    await expectRefused([{}], ['no fields']);
    await expectRefused([{ conversations: [{ from: 'human', value: 'a' }] }], ['`role` and `content`']);
  });
});

describe('text', () => {
  test('stands in the field that is named', async () =>
    expect(await readOne({ body: 'a', text: 'b' }, { textField: 'body' })).toEqual({
      kind: 'text',
      text: 'a',
    }));

  test('is there, is text, and is text that UTF-8 can hold', async () => {
    await expectRefused([{ text: 'a' }, { text: '' }], ['empty text']);
    await expectRefused([{ text: 5 }], ['no text in `text`', '5']);
    await expectRefused([{ text: 'a\ud800' }], ['surrogate']);
    await expectRefused([{ text: null }], ['no kind'], {});
  });
});

describe('prompt and completion', () => {
  test('are taken as they are', async () =>
    expect(await readOne({ prompt: ' a\n', completion: ' b' })).toEqual({
      kind: 'completion',
      prompt: ' a\n',
      completion: ' b',
    }));

  test('are both there, and the completion is not empty', async () => {
    await expectRefused([{ prompt: 'a' }], ['no `completion`']);
    await expectRefused([{ completion: 'a' }], ['no `prompt`']);
    await expectRefused([{ prompt: 'a', completion: '' }], ['empty completion']);
    await expectRefused([{ prompt: ['a'], completion: 'b' }], ['no text in `prompt`']);
  });
});

describe('messages', () => {
  const messagesOf = async (messages: readonly object[], others: object = {}): Promise<unknown> =>
    ((await readOne({ messages, ...others })) as { messages: unknown }).messages;
  const refused = (messages: readonly unknown[], ...words: string[]): Promise<void> =>
    expectRefused([{ messages }], words);

  test('parts of text are joined, weights kept, what is null left out', async () => {
    const parts = [
      { type: 'text', text: 'What ' },
      { type: 'text', text: 'is it?' },
    ];
    const given = [
      { role: 'system', content: '', name: null },
      { role: 'user', content: parts, name: 'Ann' },
      { role: 'assistant', content: 'a', weight: 0, reasoning_content: 'Hm.' },
      { role: 'assistant', content: 'b', weight: 1, tool_calls: null },
    ];
    expect(await messagesOf(given)).toEqual([
      { role: 'system', content: '' },
      { role: 'user', content: 'What is it?', name: 'Ann' },
      { role: 'assistant', content: 'a', weight: 0, reasoning_content: 'Hm.' },
      { role: 'assistant', content: 'b', weight: 1 },
    ]);
  });

  test('calls of tools have their arguments as objects; content may be absent beside them', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a": 1, "b": [2]}' } };
    const bare = { function: { name: 'now' } };
    const given = [
      user,
      { role: 'assistant', content: null, tool_calls: [call, bare] },
      { role: 'tool', tool_call_id: 'c1', content: '3' },
      assistant,
    ];
    expect(await messagesOf(given)).toEqual([
      user,
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'add', arguments: { a: 1, b: [2] } } },
          { type: 'function', function: { name: 'now', arguments: {} } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: '3' },
      assistant,
    ]);
  });

  test('tools are read in both forms, and lists as JSON, as tables hold them', async () => {
    const add = { name: 'add', parameters: { type: 'object' } };
    const tools = [{ type: 'function', function: add }];
    const messages = [user, assistant];
    for (const others of [{ tools }, { functions: [add] }, { tools: JSON.stringify(tools) }])
      expect(await readOne({ messages, ...others })).toEqual({ kind: 'messages', messages, tools });
    expect(await readOne({ messages: JSON.stringify(messages), tools: [] })).toEqual({
      kind: 'messages',
      messages,
      tools: undefined,
    });
    await expectRefused([{ messages, tools, functions: [add] }], ['both `tools` and `functions`']);
    await expectRefused([{ messages, tools: [add] }], ['`tools[0]`']);
    await expectRefused([{ messages, tools: {} }], ['no list in `tools`']);
    await expectRefused([{ messages, functions: [{ parameters: {} }] }], ['`functions[0]`']);
    await expectRefused([{ messages: '[{' }], ['no JSON in `messages`']);
  });

  test.each([
    ['human', 'Write user'],
    ['developer', 'Write system'],
    ['function', 'tool_calls'],
    ['constructor', 'one of system, user, assistant, tool'],
    [undefined, 'one of system, user, assistant, tool'],
  ])('the role %s is wrong', (role, word) =>
    refused([user, { role, content: 'a' }, assistant], 'wrong role in `messages[1]`', word),
  );

  test('what is missing, empty or of a wrong type is refused with its field', async () => {
    await refused([], 'nothing to learn', 'no messages');
    await refused([user], 'nothing to learn', 'user');
    await refused([user, { ...assistant, weight: 0 }], 'nothing to learn');
    await refused([user, { ...assistant, weight: 0.5 }], 'wrong weight in `messages[1]`');
    await refused([{ ...user, weight: 1 }, assistant], 'wrong weight in `messages[0]`', 'role user');
    await refused([user, { role: 'assistant', content: '' }], 'empty completion in `messages[1]`');
    await refused([user, { role: 'assistant' }], 'no `messages[1].content`');
    await refused([{ role: 'user', content: 7 }, assistant], 'no text in `messages[0].content`');
    await refused([user, 'Hello'], 'no message in `messages[1]`');
    await refused([{ role: 'user', content: 'a\udc00' }, assistant], 'surrogate');
    await refused(
      [{ role: 'user', content: [{ type: 'image_url' }] }, assistant],
      '`messages[0].content[0]`',
      'image',
    );
    await refused([user, { ...assistant, function_call: {} }], '`function_call` in `messages[1]`');
    await expectRefused([{ messages: { role: 'user' } }], ['no list in `messages`']);
  });

  test('wrong calls and answers are refused', async () => {
    const calling = (call: unknown) => [user, { role: 'assistant', tool_calls: [call] }];
    await refused(calling({ type: 'code' }), '`messages[1].tool_calls[0]`');
    await refused(calling({ function: { name: 'a', arguments: '{' } }), 'no JSON');
    await refused(calling({ function: { name: 'a', arguments: '[1]' } }), 'no arguments');
    await refused(calling({ function: {} }), '`messages[1].tool_calls[0].function.name`');
    await refused([{ ...user, tool_calls: [{ function: { name: 'a' } }] }, assistant], 'of the role user');
    await refused(
      [user, { role: 'tool', tool_call_id: 'x', content: '3' }, assistant],
      '`messages[1]`',
      'not made',
    );
  });

  test('nesting without measure is refused', () => {
    let deep: unknown = 'x';
    for (let i = 0; i < 20_000; i++) deep = [deep];
    return refused([{ ...user, extra: deep }, assistant], 'nested too deeply');
  });
});

describe('preference pairs', () => {
  const worse = { role: 'assistant', content: '3' };

  test('are two completions of a prompt', async () =>
    expect(await readOne({ prompt: 'a', chosen: 'b', rejected: 'c' })).toEqual({
      kind: 'preference',
      chosen: { kind: 'completion', prompt: 'a', completion: 'b' },
      rejected: { kind: 'completion', prompt: 'a', completion: 'c' },
    }));

  test('are two conversations, of which what they begin with is context', async () => {
    const context = [user, { ...assistant, weight: 0 }, user];
    const side = (answer: object) => ({ kind: 'messages', messages: [...context, answer], tools: undefined });
    const pair = { kind: 'preference', chosen: side(assistant), rejected: side(worse) };
    const begun = [user, assistant, user];
    const whole = { chosen: [...begun, assistant], rejected: [...begun, worse] };
    expect(await readOne(whole)).toEqual(pair);
    // As published data sets have it: the first question once more as a text.
    expect(await readOne({ prompt: user.content, ...whole })).toEqual(pair);
    expect(await readOne({ prompt: begun, chosen: [assistant], rejected: [worse] })).toEqual(pair);
    const hosted = { preferred_output: [assistant], non_preferred_output: [worse] };
    expect(await readOne({ input: { messages: begun, tools: [] }, ...hosted })).toEqual(pair);
    const tools = [{ type: 'function', function: { name: 'add' } }];
    expect(await readOne({ input: { messages: begun, tools }, ...hosted })).toMatchObject({
      chosen: { tools },
      rejected: { tools },
    });
    expect(await readOne({ ...whole, tools })).toMatchObject({ chosen: { tools }, rejected: { tools } });
  });

  test.each([
    [{ prompt: 'a', chosen: 'b', rejected: 'b' }, ['equal answers']],
    [{ chosen: [user, assistant], rejected: [user, assistant] }, ['equal answers']],
    [{ prompt: 'a', chosen: 'b', rejected: '' }, ['empty `rejected`']],
    [{ prompt: 'a', chosen: 7, rejected: 'b' }, ['no text in `chosen`', '7']],
    [{ chosen: 'ab', rejected: 'ac' }, ['no `prompt`', 'Write what both texts begin with']],
    [{ chosen: [user, assistant], rejected: [user] }, ['no answer in `rejected`', 'user']],
    [{ chosen: [user, assistant], rejected: 'c' }, ['`rejected`', 'list']],
    [{ preferred_output: [assistant], non_preferred_output: [worse] }, ['no `input.messages`']],
    [
      { input: { messages: [user] }, preferred_output: [assistant], non_preferred_output: [user] },
      ['no answer in `non_preferred_output`'],
    ],
    [
      { chosen: [user, assistant], rejected: [user, { role: 'judge', content: '' }] },
      ['`rejected[1]`', 'judge'],
    ],
    [
      {
        prompt: [user],
        chosen: [{ role: 'tool', tool_call_id: 'x', content: '' }, assistant],
        rejected: [worse],
      },
      ['`prompt + chosen[1]`', 'not made'],
    ],
  ])('%j is refused', (row, words) => expectRefused([row], words));
});

describe('labels', () => {
  test('one class or several, by number, by digits or by name', async () => {
    const labelsOf = async (row: object, options?: Options) => {
      const { labels, isMultiLabel } = (await readOne({ text: 'a', ...row }, options)) as LabelsExample;
      return [labels, isMultiLabel];
    };
    const classes = ['bad', 'good'];
    expect(await labelsOf({ label: 3 })).toEqual([[3], false]);
    expect(await labelsOf({ label: '1' }, { classes: 2 })).toEqual([[1], false]);
    expect(await labelsOf({ label: 'good' }, { classes })).toEqual([[1], false]);
    expect(await labelsOf({ labels: ['good', 0] }, { classes })).toEqual([[1, 0], true]);
    expect(await labelsOf({ labels: [] })).toEqual([[], true]);
  });

  test.each([
    [{ label: 2 }, 2, ['from 0 to 1', 'received 2']],
    [{ label: -1 }, undefined, ['-1']],
    [{ label: 0.5 }, undefined, ['0.5']],
    [{ label: 'good' }, undefined, ['"good"', 'classes:']],
    [{ label: 'godo' }, ['bad', 'good'], ['one of bad, good', 'Did you mean good?']],
    [{ labels: [0, 0] }, undefined, ['class 0 twice']],
    [{ labels: 1 }, undefined, ['no list in `labels`']],
    [{ label: 1, labels: [1] }, undefined, ['both `label` and `labels`']],
  ])('%j of %j classes is refused', (row, classes, words) =>
    expectRefused([{ text: 'a', ...(row as object) }], words, { classes, kind: 'labels' }),
  );

  test('of a regression are numbers, also as the text of tables', async () => {
    const given = [0.5, -100, 3, ' 2.5', '-1e-3', '.5', '+7.'];
    const examples = await read(
      given.map((label) => ({ text: 'a', label })),
      { regression: true },
    );
    expect(examples.map((example) => (example as LabelsExample).labels)).toEqual(
      [0.5, -100, 3, 2.5, -0.001, 0.5, 7].map((label) => [label]),
    );
  });

  test.each([
    [{ label: 'good' }, ['no number in `label`', '"good"', 'model for classes']],
    [{ label: '' }, ['no number in `label`']],
    [{ label: '0x10' }, ['no number in `label`']],
    [{ label: 'Infinity' }, ['no number in `label`']],
    [{ label: '1e999' }, ['within the range of f32', '"1e999"']],
    [{ label: 1e39 }, ['within the range of f32', '1e+39']],
    [{ label: true }, ['no number in `label`', 'true']],
    [{ label: [1] }, ['no number in `label`']],
    [{ labels: [1, 2] }, ['has no `label`']],
  ])('%j of a regression is refused', (row, words) =>
    expectRefused(
      [
        { text: 'a', label: 1 },
        { text: 'a', ...(row as object) },
      ],
      words,
      {
        regression: true,
        kind: 'labels',
      },
    ),
  );
});
