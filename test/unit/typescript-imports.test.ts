/** Which folder of lib and bench may import which, as the table of docs/architecture.md has it. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const root = join(__dirname, '..', '..');

/** Names in the first column, e.g. `lib/errors.ts` or `lib/graph`, with the names that those may import. */
const table = readTable(readFileSync(join(root, 'docs', 'architecture.md'), 'utf8'));
const forAll = ['lib/errors.ts', 'lib/options.ts'];

function readTable(document: string): Map<string, ReadonlySet<string>> {
  const rows = new Map<string, ReadonlySet<string>>();
  for (const [, first, second] of document.matchAll(/^\| (`(?:lib\/|bench).*) \| ([^|]+) \|$/gm)) {
    const folders = [...first!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
    const known = [...rows.keys()];
    const [words] = second!.replaceAll(/ \([^)]*\)/g, '').split(';');
    const allowed = words!.split(', ').flatMap((word) => {
      const [, but] = /^all of the above(?: but (\w+))?$/.exec(word) ?? [undefined, undefined];
      if (word.startsWith('all of the above')) return known.filter((name) => name !== `lib/${but}`);
      if (word === 'each other') return folders;
      return word === 'nothing else in lib' ? [] : [`lib/${word}`];
    });
    for (const folder of folders) rows.set(folder, new Set(allowed));
  }
  return rows;
}

const below = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
const files = [...below('lib'), ...below('bench')];

/** The name in the table that a file belongs to; the file itself where it has none. */
const nameOf = (file: string): string =>
  [...table.keys()].find((name) => file === name || file.startsWith(`${name}/`)) ?? file;

const importsOf = (file: string, text: string): string[] =>
  [...text.matchAll(/\b(?:from|import) ?\(?'(\.[^']*)'/g)].map(([, path]) =>
    normalize(join(dirname(file), path!)).replace(/\.js$/, '.ts'),
  );

/** Files that a file imports and must not. */
function foreignIn(file: string, text: string): string[] {
  const own = nameOf(file);
  return importsOf(file, text).filter((imported) => {
    const name = nameOf(imported);
    return name !== own && !forAll.includes(name) && !table.get(own)?.has(name);
  });
}

describe('the table', () => {
  test('has all of lib, and bench', () => {
    const entries = readdirSync(join(root, 'lib')).map((name) => `lib/${name}`);
    expect([...table.keys()].sort()).toEqual([...entries, 'bench'].sort());
  });

  test('speaks of what it has', () => {
    const allowed = new Set([...table.values()].flatMap((names) => [...names]));
    expect([...allowed].filter((name) => !table.has(name))).toEqual([]);
  });
});

test('an import that the table does not allow is found, however it is written', () => {
  const runtime = ['lib/runtime/index.ts'];
  expect(foreignIn('lib/graph/ops/add.ts', `import type { A } from '../../runtime/index.js';`)).toEqual(
    runtime,
  );
  expect(foreignIn('lib/graph/add.ts', `import {\n  a,\n  b,\n} from '../runtime/index.js';`)).toEqual(
    runtime,
  );
  expect(foreignIn('lib/graph/add.ts', `export * from '../runtime/index.js';`)).toEqual(runtime);
  expect(foreignIn('lib/graph/add.ts', `const a = await import('../runtime/index.js');`)).toEqual(runtime);
  expect(foreignIn('lib/graph/add.ts', `import '../runtime/index.js';`)).toEqual(runtime);
  expect(foreignIn('lib/cli/main.ts', `import { a } from '../../bench/program.js';`)).toEqual([
    'bench/program.ts',
  ]);
  expect(foreignIn('lib/entries/graph.ts', `export * from '../cli/main.js';`)).toEqual(['lib/cli/main.ts']);
  expect(foreignIn('lib/runtime/a.ts', `import { a } from '../compile/index.js';`)).toEqual([]);
});

test.each([...table.keys()])('%s imports what it may', (name) => {
  const own = files.filter((file) => nameOf(file) === name);
  expect(own.length).toBeGreaterThan(0);
  const foreign = own.flatMap((file) =>
    foreignIn(file, readFileSync(join(root, file), 'utf8')).map((imported) => `${file}: ${imported}`),
  );
  expect(foreign).toEqual([]);
});
