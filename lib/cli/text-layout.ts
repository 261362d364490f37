import { Help, type Command } from 'commander';
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

/** Adds what stands behind the flags in a command's help: paragraphs parted by empty lines, then examples. */
export function addHelpAfter(command: Command, { prose, examples }: HelpAfter): void {
  command.addHelpText('after', ({ command: shown }) => {
    const width = shown.configureOutput().getOutHelpWidth?.() ?? 80;
    const paragraphs = prose === undefined ? [] : [wrapParagraphs(prose(), width)];
    return `\n${[...paragraphs, exampleLines(examples, width)].join('\n\n')}`;
  });
}

interface HelpAfter {
  readonly prose?: () => string;
  /** Command lines to copy, each with what it does. */
  readonly examples: readonly (readonly [command: string, effect?: string])[];
}

/** Wrapped but for lines that are indented: those are laid out already. */
const wrapParagraphs = (text: string, width: number): string =>
  text
    .trim()
    .split(/\n\n/)
    .map((paragraph) =>
      /^ {2}/m.test(paragraph) ? paragraph : wrapWords(paragraph.replaceAll(/\s+/g, ' '), width),
    )
    .join('\n\n');

/** The effect stands beside its command where the screen has room, else below it. */
function exampleLines(list: HelpAfter['examples'], width: number): string {
  const longest = Math.max(...list.map(([command]) => command.length)) + 2;
  const hasRoom = list.every(([, effect = '']) => 2 + longest + effect.length <= width);
  const lines = list.map(([command, effect]) => {
    if (effect === undefined) return `  ${command}`;
    return hasRoom ? `  ${command.padEnd(longest)}${effect}` : `  ${command}\n      ${effect}`;
  });
  return `${list.length === 1 ? 'Example' : 'Examples'}:\n${lines.join('\n')}`;
}

/** How commander lays out one flag: its description beside it, or below it where there is too little room. */
export function formatHelpItem(term: string, termWidth: number, description: string, help: Help): string {
  const width = help.helpWidth ?? 80;
  const beside = width - termWidth - 4;
  const padded = `  ${term}${' '.repeat(Math.max(0, termWidth - help.displayWidth(term)))}  `;
  if (description === '') return padded.trimEnd();
  if (beside >= 28) return wrapWords(description, width, padded);
  return `  ${term}\n${wrapWords(description, width, '      ')}`;
}
