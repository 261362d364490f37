import { Help } from 'commander';
import { stripVTControlCharacters } from 'node:util';

const helper = Object.assign(new Help(), { minWidthToWrap: 16 });

/**
 * Text broken between words to at most `width` columns; a longer word stays whole. It begins behind `head`, and later
 * lines are indented by as much.
 */
export function wrapWords(text: string, width: number, head = ''): string {
  const indent = displayWidth(head);
  return head + helper.boxWrap(text, width - indent).replaceAll('\n', `\n${' '.repeat(indent)}`);
}

/** Columns that a text takes on a screen. */
export const displayWidth = (text: string): number => stripVTControlCharacters(text).length;

/** Columns of help texts, as commander decides for the rest of a help page. */
const helpColumns = (): number => (process.stdout.isTTY ? process.stdout.columns || 80 : 80);

/** Paragraphs behind a command's help, wrapped; lines that are indented stay as they are. */
export function helpProse(text: string): string {
  const lines = text.trim().split('\n');
  return lines.map((line) => (line.startsWith(' ') ? line : wrapWords(line, helpColumns()))).join('\n');
}

/** Command lines to copy, each with what it does: beside it where the screen has room, else above it. */
export function helpExamples(list: readonly (readonly [command: string, effect?: string])[]): string {
  const width = Math.max(...list.map(([command]) => command.length)) + 2;
  const hasRoom = list.every(([, effect = '']) => 2 + width + effect.length <= helpColumns());
  const lines = list.map(([command, effect]) => {
    if (effect === undefined) return `  ${command}`;
    return hasRoom ? `  ${command.padEnd(width)}${effect}` : `  ${command}\n      ${effect}`;
  });
  return `${list.length === 1 ? 'Example' : 'Examples'}:\n${lines.join('\n')}`;
}
