import { expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { createProgram } from '../../lib/cli/program.js';
import { Terminal } from '../../lib/cli/terminal.js';

const { commandLinePage, page } = require('../../scripts/docs-command-line.cjs') as {
  commandLinePage(program: Command): string;
  page: string;
};

const program = (): Command => createProgram({ terminal: new Terminal(), args: [], finish: () => {} });

test('the reference page of the command line is what the commands say; else: node scripts/docs-command-line.cjs', () => {
  expect(readFileSync(page, 'utf8')).toBe(commandLinePage(program()));
});

test('a short flag means the same everywhere', () => {
  const below = (command: Command): Command[] => [command, ...command.commands.flatMap(below)];
  const meanings = new Map<string, Set<string>>();
  for (const { options } of below(program()))
    for (const { short, long } of options)
      if (short !== undefined) meanings.set(short, (meanings.get(short) ?? new Set()).add(long!));
  const several = [...meanings].filter(([, names]) => names.size > 1).map(([short]) => short);
  expect(several).toEqual(['-n']); // how many: steps of a run, tokens of a sample
});
