// Docstrings as plain data.
'use strict';

/**
 * The parts of a docstring's inner text: the sentences before the first tag, and what stands under each tag.
 * `@throws` and `@example` may stand anywhere after the sentences, each up to the next tag.
 */
function parseDocstring(innerText) {
  const [sentences, ...tags] = innerText.trim().split(/^@(?=[a-z])/m);
  const found = { text: oneLine(sentences), throws: [], examples: [], parameters: [], returns: '' };
  for (const tag of tags) {
    const [, name, rest] = /^(\S+)\s*([\s\S]*)$/.exec(tag);
    if (name === 'throws') found.throws.push(oneLine(rest));
    else if (name === 'example') found.examples.push(rest.trim());
    else if (name === 'returns') found.returns = oneLine(rest);
    else if (name === 'param') found.parameters.push(/^(\S+)\s+([\s\S]*)$/.exec(oneLine(rest)).slice(1));
    else throw new Error(`docs-api: a docstring has a tag that the reference knows nothing of: @${name}`);
  }
  return found;
}

/** Paragraphs stay apart, lines do not. */
const oneLine = (text) =>
  text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' '))
    .join('\n\n');

/** Inner text of a block comment. */
const innerTextOf = (comment) =>
  comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .replace(/^[ \t]*\* ?/gm, '');

/** What an option is when it is left out, where its docstring says so, and the rest of the docstring. */
function splitDefault(text) {
  const found = /(?:^|(?<=[.;,)]) )[Dd]efault:? ((?:[^.]|\.(?=\S))+)(?:\.(?=\s|$)|$)/.exec(text);
  if (found === null) return { text, otherwise: '' };
  const before = text.slice(0, found.index).replace(/[;,]$/, '.');
  return { text: `${before}${text.slice(found.index + found[0].length)}`.trim(), otherwise: found[1] };
}

module.exports = { innerTextOf, parseDocstring, splitDefault };
