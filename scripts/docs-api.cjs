// Writes docs/reference/api*.md, the reference of what the package exports, from the docstrings of the source.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { readEntries } = require('./docs-api/declarations.cjs');
const { anchorsOf, apiPage } = require('./docs-api/page.cjs');

const root = path.resolve(__dirname, '..');
const folder = path.join(root, 'docs', 'reference');

const entries = [
  { source: 'lib/index.ts', page: 'api.md', title: 'compact-train' },
  { source: 'lib/entries/graph.ts', page: 'api-graph.md', title: 'compact-train/graph' },
  { source: 'lib/entries/runtime.ts', page: 'api-runtime.md', title: 'compact-train/runtime' },
  { source: 'lib/entries/server.ts', page: 'api-server.md', title: 'compact-train/server' },
];

/**
 * Text of each page by its name, and the public names that have no docstring. What two entries export is at home with
 * the first.
 */
function apiPages() {
  const read = readEntries(
    root,
    entries.map(({ source }) => source),
  );
  const homes = new Map();
  for (const { declarations, page } of read.map((entry, index) => ({ ...entry, ...entries[index] }))) {
    const own = declarations.filter(({ name }) => !homes.has(name));
    for (const [name, anchor] of anchorsOf(own)) homes.set(name, { page, anchor });
  }
  const pages = new Map(
    entries.map(({ page, title }, index) => [page, apiPage(read[index], { page, title, homes })]),
  );
  const undocumented = read
    .flatMap(({ declarations }) => declarations)
    .filter(({ doc, type }) => doc.text === '' && type !== 'OpDefinition')
    .map(({ name, file }) => `${name} (lib/${file})`);
  return { pages, undocumented: [...new Set(undocumented)] };
}

module.exports = { apiPages };

if (require.main === module) {
  const { pages, undocumented } = apiPages();
  for (const name of undocumented) console.warn(`no docstring: ${name}`);
  for (const [name, text] of pages) {
    const page = path.join(folder, name);
    const isStale = !fs.existsSync(page) || fs.readFileSync(page, 'utf8') !== text;
    fs.writeFileSync(page, text);
    console.log(isStale ? `written: ${page}` : `nothing has changed: ${page}`);
  }
}
