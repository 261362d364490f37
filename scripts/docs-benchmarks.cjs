// Writes docs/benchmarks.md, its pictures, docs/parity.md, and the generated parts of docs/kernels.md, docs/methods/README.md
// and docs/recipes.md from the ledgers.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

const root = path.resolve(__dirname, '..');
const usage = `usage: node scripts/docs-benchmarks.cjs [--check] [--ledger FILE] [--output FOLDER]

  --check           writes nothing, fails when something would change
  --ledger FILE     instead of bench/results/gpu.jsonl, and only what that ledger gives
  --output FOLDER   where docs/ is, instead of the repository`;

require('../bench/typescript.cjs');
const {
  generatedDocuments,
  methodDocuments,
  parityDocuments,
  recipeDocuments,
} = require('../bench/document/files.ts');

function options() {
  try {
    const text = { type: 'string' };
    return parseArgs({ options: { check: { type: 'boolean' }, ledger: text, output: text } }).values;
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    return process.exit(2);
  }
}

const { check, ledger, output = root } = options();
const stale = [];
const documents = {
  ...generatedDocuments(ledger),
  ...(ledger === undefined && { ...methodDocuments(), ...parityDocuments(), ...recipeDocuments() }),
};
for (const [name, contents] of Object.entries(documents)) {
  const file = path.join(output, name);
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === contents) continue;
  stale.push(name);
  if (check) continue;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, contents);
}
if (check && stale.length > 0) {
  console.error(`not what the ledger gives: ${stale.join(', ')}; run npm run docs:benchmarks`);
  process.exitCode = 1;
} else {
  console.log(stale.length === 0 ? 'nothing has changed' : `written: ${stale.join(', ')}`);
}
