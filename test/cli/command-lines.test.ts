/** Command lines in documents, recipes and help texts name commands and flags that there are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { createProgram as createBench } from '../../bench/program.js';
import { createProgram } from '../../lib/cli/program.js';
import { Terminal } from '../../lib/cli/terminal.js';
import { codeOf } from '../helpers/markdown.js';

const root = join(__dirname, '..', '..');
const terminal = new Terminal({ json: false, quiet: true });
const context = { terminal, args: [], finish: () => {} };
const programs = [createProgram(context), createBench(context)];

const below = (folder: string, extension: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(folder, name));
const files = [
  'README.md',
  ...below('docs', '.md'),
  ...below('bench', '.md'),
  ...below('recipes', '.yaml'),
  ...below('lib/cli', '.ts'),
  ...below('bench', '.ts'),
  ...below('bench', '.py'),
];

/** The words of each command line: at the begin of a line, a string or a comment. */
const linesOf = (text: string): string[][] =>
  [...text.matchAll(/(?:^(?:# *| +)?|['`]|npx )((?:compact-train|scripts\/bench) \w[^\n'`|#(;&]*)/gm)]
    .map(([, words]) => words!.split(/ {2,}/)[0]!) // what follows wide space says what it does
    .map((line) =>
      line
        .replace(/"[^"]*"/g, '""')
        .trim()
        .split(' '),
    );

const linesIn = (file: string): string[][] => {
  const text = readFileSync(join(root, file), 'utf8');
  return linesOf(file.endsWith('.md') ? codeOf(text).join('\n') : text);
};

/** What of a line does not exist: its command, or some of its flags. */
function unknownIn([name, ...words]: readonly string[]): string[] {
  const program = programs.find((candidate) => candidate.name() === name)!;
  let command: Command = program;
  const known: Command[] = [program];
  for (const word of words) {
    const inner = command.commands.find((candidate) => candidate.name() === word);
    if (inner === undefined) break;
    known.push((command = inner));
  }
  if (known.length === 1) return words.slice(0, 1);
  const flags = new Set(known.flatMap(({ options }) => options.flatMap(({ short, long }) => [short, long])));
  return words
    .filter((word) => /^-{1,2}[a-z]/.test(word))
    .map((word) => word.split('=')[0]!)
    .filter((flag) => !flags.has(flag) && flag !== '--help');
}

test('command lines are found, and mistakes in them', () => {
  expect(files.flatMap(linesIn).length).toBeGreaterThan(30);
  expect(linesOf('# compact-train plan --modell x   says what')).toEqual([
    ['compact-train', 'plan', '--modell', 'x'],
  ]);
  expect(unknownIn(['compact-train', 'plan', '--modell', 'x'])).toEqual(['--modell']);
  expect(unknownIn(['compact-train', 'bench', 'memory', '--quick', '--json'])).toEqual([]);
  expect(unknownIn(['compact-train', 'tain'])).toEqual(['tain']);
  expect(unknownIn(['scripts/bench', 'cell', '--modell'])).toEqual(['--modell']);
});

test.each(files)('%s', (file) => {
  const wrong = linesIn(file).flatMap((words) =>
    unknownIn(words).map((word) => `${word} in: ${words.join(' ')}`),
  );
  expect(wrong).toEqual([]);
});
