// Writes what follows from the definitions of ops (lib/graph/ops): the table by which the engine checks plans, and the tables
// of docs/operations.md.
//   node scripts/generate-ops.cjs
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const header = path.join('native', 'base', 'op_table.h');
const page = path.join('docs', 'operations.md');

const capitalized = (name) => name[0].toUpperCase() + name.slice(1);
const wordsOf = (text = '') => text.split(' ').filter((word) => word !== '');

/** Definitions of each family, by name. */
const byFamily = ({ opDefinitions, opFamilies }) =>
  opFamilies.map((family) => [
    family,
    [...opDefinitions.values()]
      .filter((definition) => definition.family === family)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  ]);

const macroOf = (family) => `COMPACT_${family.toUpperCase()}_OPS`;

function listMacro(name, items) {
  const lines = [`#define ${name}(X)`, ...items.map((item) => `    ${item}`)];
  return lines.join(' \\\n');
}

/** A text as a C string, in pieces where it is long. */
function literal(text) {
  const lines = [''];
  for (const word of text.split(/(?<= )/)) {
    if (lines.at(-1).length + word.length > 88) lines.push('');
    lines[lines.length - 1] += word;
  }
  return lines.map((line) => JSON.stringify(line)).join('\n     ');
}

function headerText(graph) {
  const families = byFamily(graph);
  const definitions = families.flatMap(([, members]) => members);
  const rows = definitions.map(
    ({ name, operands, attributes = '' }) =>
      `    {"${name}",\n     ${literal(operands)},\n     ${literal(attributes)}},`,
  );
  const aliases = definitions.flatMap(({ name, mayShare }) =>
    wordsOf(mayShare).map((pair) => {
      const [output, input] = pair.split('=');
      return `    {"${name}", "${output}", "${input}"},`;
    }),
  );
  return `// Every op of the package: written by scripts/generate-ops.cjs from the definitions in
// lib/graph/ops, never by hand (npm run generate:ops).
//
// The engine checks each instruction of a plan against this table before anything runs, for every
// backend. lib/graph/signature.ts has the grammar of operands and attributes; docs/operations.md
// states what each op computes.
#pragma once

// clang-format off

// The ops of each family, a folder of a backend.
${families
  .map(([family, members]) =>
    listMacro(
      macroOf(family),
      members.map(({ name }) => `X(${capitalized(name)})`),
    ),
  )
  .join('\n')}
${listMacro(
  'COMPACT_OPS',
  families.map(([family]) => `${macroOf(family)}(X)`),
)}

namespace compact {

struct OpSignature {
    const char* name;
    const char* operands;
    const char* attributes;
};

inline constexpr OpSignature kOpSignatures[] = {
${rows.join('\n')}
};

// Which output of an op may take the memory of one of its inputs, beyond the updates and
// accumulators that its signature names. Only exactly the same bytes are allowed, never a part.
struct OpAlias {
    const char* op;
    const char* output;
    const char* input;
};

inline constexpr OpAlias kOpAliases[] = {
${aliases.join('\n')}
};

}  // namespace compact
`;
}

/** \`y\` on \`a\` or \`b\`. */
function placesOf({ mayShare }) {
  const places = new Map();
  for (const pair of wordsOf(mayShare)) {
    const [output, input] = pair.split('=');
    places.set(output, [...(places.get(output) ?? []), `\`${input}\``]);
  }
  return [...places].map(([output, inputs]) => `\`${output}\` on ${inputs.join(' or ')}`).join(', ');
}

const cell = (text) => text.replaceAll('|', '\\|');

function pageTable(members) {
  const rows = members.map((definition) =>
    [definition.name, cell(definition.computes), placesOf(definition)].join(' | '),
  );
  return ['| op | computes | in place |', '|---|---|---|', ...rows.map((row) => `| ${row} |`)].join('\n');
}

/** The page with the table of each family between its marks. */
function pageText(graph) {
  let text = fs.readFileSync(path.join(root, page), 'utf8');
  for (const [family, members] of byFamily(graph)) {
    const mark = `<!-- ops of ${family} -->\n`;
    const start = text.indexOf(mark) + mark.length;
    const end = text.indexOf('<!-- end -->', start);
    if (start < mark.length || end < 0) throw new Error(`${page} has no place for the ops of ${family}`);
    text = `${text.slice(0, start)}\n${pageTable(members)}\n\n${text.slice(end)}`;
  }
  return text;
}

/**
 * @param graph what lib/graph exports
 * @returns the text of each file by its path
 */
const generatedFiles = (graph) =>
  new Map([
    [header, headerText(graph)],
    [page, pageText(graph)],
  ]);

module.exports = { generatedFiles };

if (require.main === module) {
  for (const [file, text] of generatedFiles(require(path.join(root, 'dist', 'graph', 'index.js')))) {
    fs.writeFileSync(path.join(root, file), text);
    console.log(`written: ${file}`);
  }
}
