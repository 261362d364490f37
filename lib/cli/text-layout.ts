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

/** Paragraphs behind a command's help, wrapped to the screen. Paragraphs are parted by an empty line. */
export const helpProse = (text: string): string =>
  text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => wrapWords(paragraph.replaceAll(/\s+/g, ' '), helpColumns()))
    .join('\n\n');

/** How commander lays out one flag: its description beside it, or below it where there is too little room. */
export function formatHelpItem(term: string, termWidth: number, description: string, help: Help): string {
  const width = help.helpWidth ?? 80;
  const beside = width - termWidth - 4;
  const padded = `  ${term}${' '.repeat(Math.max(0, termWidth - help.displayWidth(term)))}  `;
  if (description === '') return padded.trimEnd();
  if (beside >= 28) return wrapWords(description, width, padded);
  return `  ${term}\n${wrapWords(description, width, '      ')}`;
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
