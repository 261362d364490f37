/** Examples of README are run by scripts/check-package.cjs: one that does not work must not pass. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { runBlocks } = require('../../scripts/readme-blocks.cjs') as {
  runBlocks(
    file: string,
    project: string,
    options: { packages: Record<string, string | undefined>; only?: readonly string[] },
  ): void;
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-readme-'));
  jest.spyOn(console, 'log').mockImplementation(() => {});
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(...markdown: readonly string[]): void {
  const file = join(folder, 'README.md');
  writeFileSync(file, markdown.join('\n'));
  runBlocks(file, folder, { packages: { absent: undefined } });
}

test('commands are run one after the other, without their comments', () => {
  run(
    'text',
    '```sh',
    'touch a   # makes a',
    '',
    'mv a \\',
    '  b',
    '```',
    '```js',
    "await import('node:fs')",
    '```',
  );
  expect(existsSync(join(folder, 'b'))).toBe(true);
});

test('commands of a checkout and installations that cannot be had are left out, and said', () => {
  run('```sh', 'npm install && npm run bench', 'npm run nothing', 'npm install absent', '```');
  expect(jest.mocked(console.log).mock.calls.flat().join('\n')).toMatch(
    /checkout: npm install && npm run bench\n.*npm run nothing\nskipped: npm install absent/,
  );
});

test('other languages than those asked for are left out', () => {
  writeFileSync(join(folder, 'page.md'), '```\nany text\n```\n```sh\nfalse\n```\n```js\nthrow 1\n```\n');
  expect(() => runBlocks(join(folder, 'page.md'), folder, { packages: {}, only: ['js'] })).toThrow(
    /^page\.md:7: /,
  );
});

test.each([
  ['a command that fails', ['', '```sh', 'true', 'test -e nothing', '```'], /^README\.md:2: /],
  [
    'a program that throws',
    ['```js', 'throw new RangeError("no")', '```'],
    /^README\.md:1: .*RangeError: no/s,
  ],
  ['another package', ['```sh', 'npm install other', '```'], /npm install other: not one of absent/],
  ['another language', ['```python', 'pass', '```'], /'python' is not run/],
  ['no language', ['```', 'pass', '```'], /'' is not run/],
  ['no end', ['```sh', 'true'], /line 1 has no end/],
])('an error: %s', (_, markdown, message) => {
  expect(() => run(...markdown)).toThrow(message);
});
