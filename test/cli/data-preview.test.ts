/** What of fine-tuning data is learnt, on screens, in pipes and as JSON. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { chatFiles, readChatFixture } from '../helpers/chat-fixtures.js';
import { runCommand } from './run-command.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-preview-'));
  for (const [name, content] of Object.entries(chatFiles('chatml')))
    await writeFile(join(folder, name), content);
});
afterEach(() => rm(folder, { recursive: true }));

const { cases } = readChatFixture('chatml');
const chats = cases.map(({ messages }) => JSON.stringify({ messages })).join('\n');

async function preview(
  name: string,
  content: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
) {
  await writeFile(join(folder, name), content);
  return runCommand(['data', 'preview', join(folder, name), '-m', folder, ...args], { env });
}

describe('compact-train data preview', () => {
  test('the latest checkpoint of an output folder has the tokenizer and the template', async () => {
    const run = join(folder, 'run');
    const checkpoint = join(run, 'checkpoint-2');
    await mkdir(checkpoint, { recursive: true });
    const others = ['config.json', 'model.safetensors', 'optimizer.safetensors', 'trainer.json'];
    for (const name of others) await writeFile(join(checkpoint, name), '');
    await writeFile(join(checkpoint, 'generation_config.json'), '{}');
    for (const [name, content] of Object.entries(chatFiles('chatml')))
      await writeFile(join(checkpoint, name), content);
    await writeFile(join(folder, 'chats.jsonl'), chats);
    const of = (model: string) =>
      runCommand(['data', 'preview', join(folder, 'chats.jsonl'), '-m', model, '--json']);
    const found = await of(run);
    expect(found.code).toBe(0);
    expect(found.stdout).toBe((await of(folder)).stdout);
  });

  test('--json has the ids and the mask of each record, as transformers has them, and the statistics', async () => {
    const { code, stdout, stderr } = await preview('chats.jsonl', `\n${chats}\n`, ['--json', '--limit', '2']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([
      ...cases.slice(0, 2).map(({ ids, mask }, i) => ({
        type: 'record',
        path: join(folder, 'chats.jsonl'),
        unit: 'line',
        number: i + 2,
        ids,
        counts: mask,
        isTruncated: false,
      })),
      expect.objectContaining({
        type: 'statistics',
        kind: 'messages',
        numRecords: cases.length,
        numTokens: cases.flatMap(({ ids }) => ids).length,
        numCountedTokens: cases.flatMap(({ mask }) => mask.filter((count) => count === 1)).length,
      }),
    ]);
  });

  test('marks what is learnt in pipes and where no colours are wanted, and colours it elsewhere', async () => {
    const { stdout } = await preview('chats.jsonl', chats, ['--limit', '1']);
    expect(stdout).toContain('line 1 ');
    expect(stdout).toContain('<|im_start|>assistant\n⟦it was the worst of times<|im_end|>⟧\n');
    expect(stdout).toContain(`${cases.length} records (messages)`);
    expect(stdout).not.toContain('\u001b');
    const plain = await preview('chats.jsonl', chats, ['--limit', '1'], { NO_COLOR: '1' });
    expect(plain.stdout).toBe(stdout);
    const coloured = await preview('chats.jsonl', chats, ['--limit', '1'], { FORCE_COLOR: '1' });
    expect(coloured.stdout).toContain('\u001b[32mit was the worst of times<|im_end|>\u001b[39m');
    expect(coloured.stdout).not.toContain('⟦');
  });

  test('shows both answers of a preference pair', async () => {
    const pair = JSON.stringify({ prompt: 'a', chosen: 'b', rejected: 'cd' });
    const { stdout } = await preview('pairs.jsonl', pair, []);
    const [better, worse] = stdout.split('line 1, rejected ');
    expect(better).toMatch(/^line 1, chosen 3 tokens, 2 learnt\na⟦b.*⟧\n/);
    expect(worse).toMatch(/^\d tokens, \d learnt\na⟦cd.*⟧\n/);
    expect(worse).toContain('1 records (preference)');
    const line = (await preview('pairs.jsonl', pair, ['--json'])).stdout.split('\n')[0]!;
    const { ids, counts, rejected } = JSON.parse(line) as Record<'ids' | 'counts' | 'rejected', never>;
    expect(rejected).toEqual({ ids: expect.any(Array), counts: expect.any(Array) });
    expect([ids[0], counts[0]]).toEqual([rejected['ids'][0], 0]);
  });

  test('text commands no terminal', async () => {
    const rows = JSON.stringify({ text: 'a\u001b[2Jb\u202ec\r\u0007' });
    const { stdout } = await preview('a.jsonl', rows, ['--no-add-eos'], { FORCE_COLOR: '1' });
    expect(stdout).toContain('\\x1b[2Jb\\u202ec\\x0d\\x07');
    // But for the colours, of which there are no others.
    const commands = stdout.split('\u001b').slice(1);
    expect(commands.filter((command) => !/^\[\d+m/.test(command))).toEqual([]);
    expect(stdout).not.toMatch(/[\u202e\r]/);
  });

  test('reads tables, kinds and lengths by its flags', async () => {
    const flags = [
      '--kind',
      'labels',
      '--classes',
      'bad,good',
      '--text-field',
      'body',
      '--separator',
      'bar',
      '--json',
    ];
    const { stdout } = await preview('a.csv', 'body|label\nHello, there|good\n', flags);
    expect(stdout).toContain('"unit":"line","number":2,');
    expect(stdout).toContain('"labels":[1]');
    const longer = JSON.stringify({ prompt: 'a', completion: 'b'.repeat(50) });
    const refused = await preview('b.jsonl', longer, ['--context-length', '10']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/b\.jsonl, line 1, is longer than the context/);
    const cut = await preview('b.jsonl', longer, ['--context-length', '10', '--truncate']);
    expect(cut.code).toBe(0);
    expect(cut.stdout).toContain('10 tokens, 9 learnt, without its end');
    expect(cut.stderr).toContain('1 of 1 records lost their end');
  });

  test('names the line of a wrong record, after those that are right', async () => {
    const wrong = JSON.stringify({ messages: [{ role: 'human', content: 'a' }] });
    const { code, stdout, stderr } = await preview('chats.jsonl', `${chats}\n${wrong}`, ['--limit', '1']);
    expect(code).toBe(2);
    expect(stdout).toContain('line 1 ');
    expect(stderr).toContain(`line ${cases.length + 1}, has a wrong role in \`messages[0]\``);
    expect(stderr).toContain('Write user');
    const json = await preview('chats.jsonl', wrong, ['--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      type: 'error',
      code: 'ERR_COMPACT_DATA_RECORD',
      details: { line: 1 },
    });
  });

  test.each([
    [['data', 'preview', '-m', 'bytes'], "missing required argument 'file'"],
    [['data', 'preview', 'none.jsonl'], '--model'],
    [['data', 'preview', 'none.jsonl', '-m', 'bytes'], 'ERR_COMPACT_DATA_READ'],
    [['data', 'preview', 'none.jsonl', '-m', 'bytes', '--kind', 'message'], 'Did you mean messages?'],
    [['data', 'preview', 'none.jsonl', '-m', 'bytes', '--classes', 'a,,b'], 'parted by commas'],
    [['data', 'preview', 'none.jsonl', '-m', 'no-such-folder'], 'ERR_COMPACT_TOKENIZER'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await runCommand(args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

test('the examples of docs/data.md give what stands there', async () => {
  const page = readFileSync(join(__dirname, '../../docs/data.md'), 'utf8');
  const main = join(__dirname, '../../dist/cli/main.js');
  await mkdir(join(folder, 'model'));
  for (const [name, content] of Object.entries(byteTokenizer.files()))
    await writeFile(join(folder, 'model', name), content);
  const examples = [...page.matchAll(/```sh\n([^]*?)```\n\n```text\n([^]*?)```/g)];
  expect(examples).toHaveLength(4);
  for (const [, commands, expected] of examples) {
    const script = commands!.replaceAll('npx compact-train', `"${process.execPath}" "${main}"`);
    const output = execFileSync('sh', ['-ec', `exec 2>&1; ${script}`], { cwd: folder, encoding: 'utf8' });
    expect(output).toBe(expected);
  }
});
