const { parseDocstring, splitDefault } = require('../../scripts/docs-api/docstring.cjs') as {
  parseDocstring(text: string): unknown;
  splitDefault(text: string): { readonly text: string; readonly otherwise: string };
};

test('a docstring is taken apart at its tags; paragraphs stay apart', () => {
  const text = `
    Two
    lines.

    Another paragraph, with a@b in it.

    @param x what it is
    @throws ERR_A,
      ERR_B
    @example
    run(x);
  `.replaceAll(/^ {4}/gm, '');
  expect(parseDocstring(text)).toEqual({
    text: 'Two lines.\n\nAnother paragraph, with a@b in it.',
    throws: ['ERR_A, ERR_B'],
    examples: ['run(x);'],
    parameters: [['x', 'what it is']],
    returns: '',
  });
  expect(() => parseDocstring('Old.\n@since 1.0')).toThrow('@since');
});

test.each([
  ['Steps. Default 10.', 'Steps.', '10'],
  ['Default 0.25, unless `rank` is given.', '', '0.25, unless `rank` is given'],
  ["Default 'auto'. Only 'auto' may choose.", "Only 'auto' may choose.", "'auto'"],
  ['Folder of the text; default `data`.', 'Folder of the text.', '`data`'],
  ['Held-out sequences. Default: all of them.', 'Held-out sequences.', 'all of them'],
  ["'own' (default) or 'vendor'.", "'own' (default) or 'vendor'.", ''],
  ['By default nothing.', 'By default nothing.', ''],
])('%j has its default apart', (docstring, text, otherwise) => {
  expect(splitDefault(docstring)).toEqual({ text, otherwise });
});
