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
function defaultOf({ default: value }) {
  if (typeof value === 'number' && value > 0 && value < 1e-4) return value.toExponential();
  return value === null ? undefined : JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ');
}

/** @param options of one mapping (`optionInfos`) */
function tableOf(options, sentences, notes = {}) {
  const rows = Object.fromEntries(options.map((option) => [option.name, option]));
  // In the order of the interface; what is in no interface has notes.
  const order = [...new Set([...Object.keys(sentences), ...Object.keys(rows)])].filter((name) => rows[name]);
  const lines = order.map((name) => {
    const row = rows[name];
    const sentence = notes[name] ?? sentences[name];
    if (sentence === undefined) throw new Error(`${name} has no comment`);
    const otherwise = defaultOf(row);
    const said =
      otherwise === undefined ? sentence : sentence.replace(/ ?Default [^;]*?(?:\.$|\.(?= )|$)/, '');
    const cells = [`\`${name}\``, row.type, row.isRequired ? 'required' : (otherwise ?? ''), said];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| key | value | default | |', '|---|---|---|---|', ...lines].join('\n');
}

/** A preset or an optimizer, with its options and the sentences about them. */
const chapterOf = (folder, name, source, options) => ({
  name,
  source,
  options,
  sentences: sentencesNear(`methods/${folder}/${name}.ts`),
});

/** The sentences of all interfaces of a file and of what it imports of methods; those of the file itself come first. */
function sentencesNear(file, seen = new Set()) {
  seen.add(file);
  const text = fs.readFileSync(path.join(root, 'lib', file), 'utf8');
  const imported = [...text.matchAll(/from '(\.\.?\/[^']*)\.js'/g)]
    .map(([, name]) => path.join(path.dirname(file), `${name}.ts`))
    .filter((name) => name.startsWith('methods/') && name !== 'methods/preset.ts' && !seen.has(name));
  const interfaces = [...text.matchAll(/export interface (\w+)[^{]*\{\n/g)].map(([, found]) => found);
  return Object.assign(
    {},
    ...imported.map((name) => sentencesNear(name, seen)),
    sentencesOf(file, ...interfaces),
  );
}

const linksTo = (definitions) => definitions.map(({ name }) => `[${name}](#${name})`).join(', ');

const chaptersOf = (definitions) =>
  definitions
    .map(({ name, source, options, sentences }) => {
      const table = options.length === 0 ? 'No keys of its own.' : tableOf(options, sentences);
      return `## ${name}\n\n${source}.\n\n${table}`;
    })
    .join('\n\n');

/**
 * @param load gives a module of lib by its path without extension
 * @returns the page, and for each default that a comment names otherwise than the table a complaint
 */
function recipePage(load) {
  const { recipeTable } = load('train/options/recipe');
  const { dataTable } = load('data/data-table');
  const { recordDataTable } = load('data/records/record-data-options');
  const { llamaTable } = load('models/llama/config');
  const { llamaPresets } = load('models/llama/presets');
  const { engineTable } = load('runtime/options');
  const { preferenceTable } = load('train/options/trainer-table');
  const { optionInfos } = load('options');
  const presets = Object.values(load('methods/presets/index')).map(({ info }) =>
    chapterOf('presets', info.name, info.source, info.options),
  );
  const optimizers = Object.values(load('methods/optimizers/index')).map(({ name, source, table }) =>
    chapterOf('optimizers', name, source, optionInfos(table)),
  );
  const { commonTable } = load('methods/embedding-optimizer');
  const { optimizerRowOf } = load('methods/optimizers/definitions');
  const { weightTable } = load('methods/weights/weight-options');
  const { savingTable } = load('methods/saving/saving-options');

  const sections = {
    recipe: [
      optionInfos({ ...recipeTable, ...engineTable }),
      sentencesOf('train/options/types.ts', 'TrainerOptions'),
    ],
    data: [optionInfos(dataTable), sentencesOf('data/types.ts', 'DataOptions')],
    records: [
      optionInfos(recordDataTable),
      {
        ...sentencesOf('data/records/record-data-options.ts', 'RecordDataOptions'),
        ...sentencesOf('data/records/readers/index.ts', 'ReadOptions'),
        ...sentencesOf('data/records/records-table.ts', 'RecordsOptions'),
      },
    ],
    preference: [
      optionInfos(preferenceTable),
      sentencesOf('graph/ops/preference-loss.ts', 'PreferenceOptions'),
    ],
    model: [
      optionInfos(llamaTable),
      {
        ...sentencesOf('models/decoder/config.ts', 'DecoderConfig'),
        ...sentencesOf('models/llama/config.ts', 'LlamaConfig'),
      },
    ],
    method: [
      optionInfos({ optimizer: optimizerRowOf(), ...commonTable, ...weightTable(), ...savingTable() }),
      {
        ...sentencesOf('methods/preset.ts', 'MethodOptions'),
        ...sentencesOf('methods/optimizers/step.ts', 'StepOptions'),
        ...sentencesOf('methods/weights/weight-options.ts', 'WeightOptions'),
        ...sentencesOf('methods/saving/saving-options.ts', 'SavingOptions'),
      },
    ],
    ...Object.fromEntries(
      [...presets, ...optimizers].map(({ name, options, sentences }) => [name, [options, sentences]]),
    ),
  };
  const complaints = Object.entries(sections).flatMap(([section, [options, sentences]]) =>
    options.flatMap(({ name, ...option }) => {
      const [otherwise, sentence] = [defaultOf(option), sentences[name] ?? ''];
      const isSaid =
        otherwise === undefined || !sentence.includes('Default ') || sentence.includes(otherwise);
      return isSaid ? [] : [`${section}.${name}: "${sentence}" has another default than ${otherwise}`];
    }),
  );
  const notes = {
    model: 'A mapping with `preset` and keys of [model](#model); a preset alone may stand for it.',
    method: `A mapping with \`name\` (${linksTo(presets)}) and keys of it, of its optimizer, and of [every method](#method); the name alone may stand for it.`,
    data: 'A mapping with keys of [data](#data), or of [records](#records); a path or a list of paths alone may stand for `train`.',
    preference:
      'A mapping with keys of [preference](#preference), which may be empty: `data` are records of preference pairs, which are learnt by DPO against the model that the run starts from. A pair is two sequences, so `batchSize` is even. Absent: tokens or classes are learnt.',
  };
  const modelPresets = Object.keys(llamaPresets)
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

Running text, cut into sequences:

${tableOf(...sections.data)}

## records

Records that are documents of their own, in the place of running text ([data](../data.md)):

${tableOf(...sections.records)}

## preference

Preference pairs are learnt ([fine-tuning](../fine-tuning.md#preferences)):

${tableOf(...sections.preference)}

## model

\`preset\` is one of ${modelPresets}. Every other key replaces a value of the preset; without a preset all that are required must be
given. With \`architecture\` in its place, a \`model_type\` of [models](../models.md), they are the keys of that architecture: its
fields of config.json in camel case, such as those below.

${tableOf(...sections.model)}

## method

What every method can be told, beside the keys of its own and those of its optimizer (${linksTo(optimizers)}).

${tableOf(...sections.method)}

# Methods

${chaptersOf(presets)}

# Optimizers

${chaptersOf(optimizers)}
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
