import CliTable from 'cli-table3';
import { screenColumns } from './terminal.js';
import { displayWidth, wrapWords } from './text-layout.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

const chars = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
} as const; // prettier-ignore

type Row = readonly string[];

/**
 * Columns of text, aligned, without borders: it reads the same on a screen, in a pipe and in a pasted report. Where the
 * columns do not fit side by side each row is a block of lines: no word and no number is ever broken.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly Row[],
  width = screenColumns(process.stdout),
): string {
  const lines = aligned(columns, rows);
  return (lines.every((line) => displayWidth(line) <= width) ? lines : stacked(columns, rows, width)).join(
    '\n',
  );
}

function aligned(columns: readonly Column[], rows: readonly Row[]): string[] {
  const table = new CliTable({
    head: columns.map((column) => column.title),
    colAligns: columns.map((column) => column.align ?? 'left'),
    chars,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd());
}

/** The first cell of a row as its heading, the others below it, each behind the title of its column. */
function stacked([first, ...others]: readonly Column[], rows: readonly Row[], width: number): string[] {
  const titleWidth = Math.max(0, ...others.map(({ title }) => title.length));
  const heading = first?.title ? [wrapWords(`${first.title}:`, width, '  ')] : [];
  const blocks = rows.map(([name = '', ...cells]) => [
    wrapWords(name, width, '  '),
    ...cells
      .map((cell, i) => `    ${others[i]!.title.padEnd(titleWidth)}  ${cell}`.trimEnd())
      .filter((_, i) => cells[i] !== ''),
  ]);
  return [...heading, ...blocks.flat()];
}
