import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const { apiPages } = require('../../scripts/docs-api.cjs') as {
  apiPages(): { readonly pages: ReadonlyMap<string, string>; readonly undocumented: readonly string[] };
};

const { pages, undocumented } = apiPages();
const folder = join(__dirname, '../../docs/reference');

test.each([...pages])('%s is what the docstrings say; else: npm run docs:reference', (page, text) => {
  expect(readFileSync(join(folder, page), 'utf8')).toBe(text);
});

test('every public name has a docstring', () => {
  expect(undocumented).toEqual([]);
});

test('no type is named that nobody can import', () => {
  const language = new Set([
    ...['AbortSignal', 'ArrayLike', 'AsyncGenerator', 'Error', 'EventEmitter', 'Promise', 'Symbol'],
    ...['FastifyInstance'], // of the package that a server needs
    ...['Omit', 'Partial', 'Pick', 'Readonly', 'ReadonlyMap', 'ReadonlySet', 'Record'],
  ]);
  const all = [...pages.values()].join('\n');
  const names = new Set([...all.matchAll(/^### (.*)$/gm)].map(([, name]) => name!));
  const code = [...all.matchAll(/`([^`\n]+)`|^(?:function|type|const) .*$/gm)].map(
    ([text, span = text]) => span,
  );
  const types = code.flatMap((text) => text.match(/(?<!['\w.])[A-Z][a-z]+[A-Za-z]*(?![\w'])/g) ?? []);
  expect([...new Set(types)].filter((type) => !names.has(type) && !language.has(type))).toEqual([]);
});
