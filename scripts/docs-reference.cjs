// Writes docs/reference/recipe.md: every key of a recipe, from the tables that check it (type, default) and the comments of
// the interfaces that they belong to (the sentence).
//   node scripts/docs-reference.cjs [--check]
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const page = path.join('docs', 'reference', 'recipe.md');

/** The sentences of an interface's properties, by name. */
function sentencesOf(file, ...interfaces) {
  const source = fs.readFileSync(path.join(root, 'lib', file), 'utf8');
  const found = {};
  for (const name of interfaces) {
    const [, body] = new RegExp(`export interface ${name}[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(source);
    for (const [, comment, property] of body.matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*readonly (\w+)\??:/g,
    ))
      found[property] = comment
        .replaceAll(/\n\s*\*/g, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim();
  }
  return found;
}

/** A default in the words of a recipe, undefined where there is none that is a value. */
function defaultOf(row) {
  const value = typeof row.default === 'function' ? row.default() : row.default;
  if (typeof value === 'number' && value > 0 && value < 1e-4) return value.toExponential();
  return value === undefined ? undefined : JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ');
}

/** Of a row or what it wraps, what was expected. */
const typeOf = (row) => (row.wrapped ? typeOf(row.wrapped) : row.message);

function tableOf(rows, sentences, notes = {}) {
  // In the order of the interface; what is in no interface has notes.
  const order = [...new Set([...Object.keys(sentences), ...Object.keys(rows)])].filter((name) => rows[name]);
  const lines = order.map((name) => {
    const row = rows[name];
    const sentence = notes[name] ?? sentences[name];
    if (sentence === undefined) throw new Error(`${name} has no comment`);
    const otherwise = defaultOf(row);
    const isRequired = row.type !== 'optional';
    const said =
      otherwise === undefined ? sentence : sentence.replace(/ ?Default [^;]*?(?:\.$|\.(?= )|$)/, '');
    const cells = [`\`${name}\``, typeOf(row), isRequired ? 'required' : (otherwise ?? ''), said];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| key | value | default | |', '|---|---|---|---|', ...lines].join('\n');
}

/**
 * @param load gives a module of lib by its path without extension
 * @returns the page, and for each default that a comment names otherwise than the table a complaint
 */
function recipePage(load) {
  const { recipeTable } = load('train/recipe');
  const { dataTable } = load('data/data-table');
  const { llamaTable } = load('models/llama-config');
  const { llamaPresets } = load('models/presets');
  const { denseTable } = load('methods/dense');
  const { compactTable } = load('methods/compact-options');
  const { engineTable } = load('runtime/options');

  const adam = sentencesOf('methods/adam.ts', 'AdamOptions');
  const sections = {
    recipe: [{ ...recipeTable, ...engineTable }, sentencesOf('train/types.ts', 'TrainerOptions')],
    data: [dataTable, sentencesOf('data/types.ts', 'DataOptions')],
    model: [llamaTable, sentencesOf('models/llama-config.ts', 'LlamaConfig')],
    dense: [denseTable, adam],
    compact: [
      compactTable,
      { ...adam, ...sentencesOf('methods/compact-options.ts', 'RankOptions', 'CompactOptions') },
    ],
  };
  const complaints = Object.entries(sections).flatMap(([section, [rows, sentences]]) =>
    Object.entries(rows).flatMap(([name, row]) => {
      const [otherwise, sentence] = [defaultOf(row), sentences[name] ?? ''];
      const isSaid =
        otherwise === undefined || !sentence.includes('Default ') || sentence.includes(otherwise);
      return isSaid ? [] : [`${section}.${name}: "${sentence}" has another default than ${otherwise}`];
    }),
  );
  const notes = {
    model: 'A mapping with `preset` and keys of [model](#model); a preset alone may stand for it.',
    method:
      'A mapping with `name` (`compact` or `dense`) and keys of [compact](#compact) or [dense](#dense); the name alone may stand for it.',
    data: 'A mapping with keys of [data](#data); a path or a list of paths alone may stand for `train`.',
  };
  const presets = Object.keys(llamaPresets)
    .map((name) => `\`${name}\``)
    .join(', ');
  const text = `# Keys of a recipe

<!-- Written by scripts/docs-reference.cjs from the tables in lib that check every recipe and call. -->

A recipe is a YAML mapping of at most 1 MiB. Its keys are the options of \`Trainer.create()\`, under the same names, with model,
method and data as mappings: \`optionsFromRecipe()\` makes one of the other. A key that is not in these tables is refused with the
nearest one that is, a value of another type with what was expected; nothing starts before all of it is checked.

In a shell, \`--set key=value\` sets any key (\`--set method.rankRatio=0.5\`), and \`--set key=null\` unsets it.

${tableOf(...sections.recipe, notes)}

\`warmupSteps\` and \`warmupRatio\` exclude each other. The tokens of a micro-batch (\`batchSize\` times
\`sequenceLength\`) are at most 2^27.

## data

${tableOf(...sections.data)}

## model

\`preset\` is one of ${presets}. Every other key replaces a value of the preset; without a preset all that are required must be
given.

${tableOf(...sections.model)}

## compact

Of \`rank\` and \`rankRatio\` one is given at most; without either, \`rankRatio\` is 0.25.

${tableOf(...sections.compact)}

## dense

${tableOf(...sections.dense)}
`;
  return { text, complaints };
}

module.exports = { page, recipePage };

if (require.main === module) {
  const load = (name) => require(path.join(root, 'dist', `${name}.js`));
  const { text, complaints } = recipePage(load);
  const file = path.join(root, page);
  const isStale = !fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text;
  for (const complaint of complaints) console.error(complaint);
  if (isStale && process.argv.includes('--check')) console.error(`${page} is stale: npm run docs:reference`);
  else if (isStale) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    console.log(`written: ${page}`);
  }
  process.exitCode = complaints.length > 0 || (isStale && process.argv.includes('--check')) ? 1 : 0;
}
