// Writes docs/benchmarks.md, its pictures, and the generated parts of docs/kernels.md from the ledger.
//
//   node scripts/docs-benchmarks.cjs [--check]     --check: writes nothing, fails when something would change
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const { generatedDocuments } = require(path.join(root, 'dist', 'cli', 'bench', 'gpu', 'files.js'));

const stale = [];
for (const [name, contents] of Object.entries(generatedDocuments())) {
  const file = path.join(root, name);
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === contents) continue;
  stale.push(name);
  if (process.argv.includes('--check')) continue;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, contents);
}
if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`not what the ledger gives: ${stale.join(', ')}; run npm run docs:benchmarks`);
  process.exitCode = 1;
} else {
  console.log(stale.length === 0 ? 'nothing has changed' : `written: ${stale.join(', ')}`);
}
