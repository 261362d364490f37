import { describe, expect, test } from '@jest/globals';
import { barLine } from '../../lib/cli/progress.js';
import { renderTable } from '../../lib/cli/table.js';
import { displayWidth, wrapWords } from '../../lib/cli/text-layout.js';
import { hasTerminalProgram, runOnTerminal } from './run-command.js';

// Commands are processes of their own, and test machines may be busy.
const widths = [40, 60, 80, 100, 140];
const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

describe('tables', () => {
  const right = (title: string): { title: string; align: 'right' } => ({ title, align: 'right' });
  const columns = [{ title: 'method' }, right('peak'), right('of plain dense'), right('largest batch')];
  const rows = [
    ['dense, plain', '28.0 GiB', '100.0 %', '2'],
    ['compact n/4, lazy, layer checkpointing', '4.44 GiB', '15.9 %', '1,024'],
    ['dense, selective recompute', '20.9 GiB', '74.9 %', ''],
  ];

  test.each(widths)('at %d columns fit, with every word and number whole', (width) => {
    const lines = renderTable(columns, rows, width).split('\n');
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    const shown = new Set(lines.flatMap(words));
    for (const word of rows.flat().flatMap(words)) expect(shown).toContain(word);
  });

  test('are columns where there is room', () => {
    expect(renderTable(columns, rows, 85).split('\n')).toEqual([
      '  method                                      peak  of plain dense  largest batch',
      '  dense, plain                            28.0 GiB         100.0 %              2',
      '  compact n/4, lazy, layer checkpointing  4.44 GiB          15.9 %          1,024',
      '  dense, selective recompute              20.9 GiB          74.9 %',
    ]);
  });

  test('are a block of lines for each row where there is not', () => {
    expect(renderTable(columns, rows.slice(1), 40).split('\n')).toEqual([
      '  method:',
      '  compact n/4, lazy, layer checkpointing',
      '    peak            4.44 GiB',
      '    of plain dense  15.9 %',
      '    largest batch   1,024',
      '  dense, selective recompute',
      '    peak            20.9 GiB',
      '    of plain dense  74.9 %',
    ]);
  });
});

describe('the live line', () => {
  const parts = ['120/300', 'loss 2.345', 'ETA 01:23', 'held out 2.456', '12.3k tokens/s', '97.3 MiB'];

  test.each([10, 20, ...widths])('at %d columns leaves out whole parts, never half of one', (columns) => {
    const line = barLine(0.4, parts, columns);
    expect(line.length).toBeLessThan(columns);
    const shown = line.replace(/^[━─]* ?/, '').split('  ');
    expect(parts.slice(0, shown.length)).toEqual(shown);
  });

  test('has a bar of the share that is done where there is room', () => {
    expect(barLine(0.25, ['1/4'], 200)).toBe(`${'━'.repeat(8)}${'─'.repeat(24)} 1/4`);
  });
});

test.each(widths)('prose at %d columns is broken between words, and indented behind its head', (width) => {
  const text = 'AMD EPYC (no CUDA device can be used: there is no compact_train_cuda.so beside the addon)';
  const lines = wrapWords(text, width, 'device  ').split('\n');
  expect(words(lines.join(' '))).toEqual(['device', ...words(text)]);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
  for (const line of lines.slice(1)) expect(line).toMatch(/^ {8}\S/);
});

const onTerminal = hasTerminalProgram ? describe : describe.skip;
if (!hasTerminalProgram) process.stderr.write('skipped: no `script` program to make a terminal with\n');

onTerminal('on a terminal of 60 columns', () => {
  test.each([
    ['plan', ['plan', '-m', 'llama-demo', '--memory-limit', '1GiB']],
    ['ls', ['ls']],
    ['the help of a command', ['plan', '--help']],
    ['an error', ['plan', '-m', 'llama-demo', '--method', 'dense', '--rank-ratio', '0.5']],
  ])('%s has no line that the screen would break', async (_, args) => {
    const { stdout } = await runOnTerminal(args, { columns: 60, env: { NO_COLOR: '1' } });
    const isCommand = /^ {2}compact-train /;
    for (const line of stdout.split(/\r?\n/))
      if (!isCommand.test(line)) expect(line.length).toBeLessThanOrEqual(60);
  });
});
