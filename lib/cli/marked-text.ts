import { TextStream, type Tokenizer } from '../data/index.js';
import type { Terminal } from './terminal.js';

type ScreenStyle = Pick<Terminal, 'hasColours' | 'style'>;

/** Tokens that are shown of one record; more would hide the others. */
const maxTokens = 2000;

/**
 * The text of some tokens in which those that are learnt stand out: in colour, or where there is none between ⟦ and ⟧.
 * Control tokens are shown by their text, control characters by their numbers: what is shown commands no screen.
 *
 * @param counts 1 for tokens that are learnt
 */
export function markedText(
  terminal: ScreenStyle,
  tokenizer: Tokenizer,
  ids: Int32Array,
  counts: Uint8Array,
): string {
  const stream = new TextStream(tokenizer, []);
  const runs: { isLearnt: boolean; text: string }[] = [];
  const add = (text: string, isLearnt: boolean): void => {
    const last = runs.at(-1);
    if (last?.isLearnt === isLearnt) last.text += text;
    else if (text !== '') runs.push({ isLearnt, text });
  };
  for (const [i, id] of ids.subarray(0, maxTokens).entries())
    add(tokenizer.controlText(id) ?? stream.push(id), counts[i] === 1);
  add(stream.end(), counts[Math.min(ids.length, maxTokens) - 1] === 1);
  const shown = runs.map(({ isLearnt, text }) => mark(terminal, visible(text), isLearnt)).join('');
  const numLeft = ids.length - maxTokens;
  return numLeft > 0 ? `${shown} … ${numLeft} tokens more` : shown;
}

function mark(terminal: ScreenStyle, text: string, isLearnt: boolean): string {
  if (!terminal.hasColours) return isLearnt ? `⟦${text}⟧` : text;
  return text
    .split('\n')
    .map((line) => (line === '' ? '' : terminal.style(isLearnt ? 'green' : 'dim', line)))
    .join('\n');
}

/** Without what would move, colour or turn round the text on a screen. */
const visible = (text: string): string =>
  text.replaceAll(/[^\P{Cc}\n\t]|[\u2028-\u202e\u2066-\u2069]/gu, (letter) => {
    const code = letter.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`;
  });
