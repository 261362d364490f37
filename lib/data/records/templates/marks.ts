/*
 * Characters that tell, in what a template makes, where things are: noncharacters of Unicode, which no text is meant to
 * hold. What is marked is told by position afterwards, and the marks are taken out.
 */

/** Before and behind what `{% generation %}` encloses. */
const spanStart = '\uFDD0';
const spanEnd = '\uFDD1';
/** Inside of what reads as a control token in a message, so that it is text and no control token. */
export const guard = '\uFDD2';

export const anyMark = /[\uFDD0-\uFDD2]/;

/** Half open, in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/**
 * Puts marks in the place of `{% generation %}` and `{% endgeneration %}`, with the white space around them treated as
 * Jinja does (trim_blocks, lstrip_blocks, and a minus inside of the tag).
 */
export function markGeneration(template: string): {
  readonly source: string;
  readonly hasGeneration: boolean;
} {
  let hasGeneration = false;
  // Found from the tag outwards: a pattern that began with white space would take quadratic time for much of it.
  const source = template.split(/(\{%[-+]?\s*(?:end)?generation\s*[-+]?%\})/);
  for (let i = 1; i < source.length; i += 2) {
    const tag = source[i]!;
    hasGeneration = true;
    const before = source[i - 1]!;
    if (tag.startsWith('{%-')) source[i - 1] = before.trimEnd();
    else if (!tag.startsWith('{%+')) source[i - 1] = trimLineStart(before, i === 1);
    const after = source[i + 1]!;
    if (tag.endsWith('-%}')) source[i + 1] = after.trimStart();
    else if (!tag.endsWith('+%}')) source[i + 1] = after.replace(/^\n/, '');
    source[i] = tag.includes('endgeneration') ? spanEnd : spanStart;
  }
  return { source: source.join(''), hasGeneration };
}

/** Without the spaces of a last line that holds nothing else. */
function trimLineStart(text: string, isFirst: boolean): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--;
  const isWholeLine = end === 0 ? isFirst : text[end - 1] === '\n';
  return isWholeLine ? text.slice(0, end) : text;
}

/** Text without the marks of spans, and where they were; undefined where a span has no end, or no start. */
export function takeSpans(
  marked: string,
): { readonly text: string; readonly spans: readonly Span[] } | undefined {
  const parts = marked.split(/([\uFDD0\uFDD1])/);
  const spans: Span[] = [];
  let text = '';
  let start: number | undefined;
  for (const part of parts) {
    if (part === spanStart) {
      if (start !== undefined) return undefined;
      start = text.length;
    } else if (part === spanEnd) {
      if (start === undefined) return undefined;
      spans.push([start, text.length]);
      start = undefined;
    } else text += part;
  }
  return start === undefined ? { text, spans } : undefined;
}
