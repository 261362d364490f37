/** What stands in code spans and in code blocks of a Markdown text. */
export const codeOf = (text: string): string[] => {
  const found = text.matchAll(/```.*\n([^]*?)```|`([^`]+)`|^(?: {4}.*\n)+/gm);
  return [...found].map(([all, block, span]) => block ?? span ?? all);
};
