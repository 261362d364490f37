// Runs the comparisons with transformers' checkpoints and writes what they measured into the ledger and docs/parity.md.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const ledger = path.join(root, 'bench/results/parity.jsonl');

require('../bench/typescript.cjs');
const { addModelParity } = require('../bench/parity/model-parity.ts');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parity-'));
try {
  const file = path.join(folder, 'rows.jsonl');
  const env = { ...process.env, COMPACT_PARITY_FILE: file };
  const jest = path.join(root, 'node_modules/jest/bin/jest.js');
  const { status } = spawnSync(process.execPath, [jest, 'test/train/recorded-models.test.ts'], {
    ...{ cwd: root, env, stdio: 'inherit' },
  });
  if (status !== 0) process.exit(1);
  const found = fs.readFileSync(file, 'utf8').trim().split('\n').map(JSON.parse);
  const others = fs.existsSync(ledger) ? fs.readFileSync(ledger, 'utf8').split('\n') : [];
  const kept = others.filter((line) => line !== '' && JSON.parse(line).case !== 'model parity');
  fs.writeFileSync(ledger, kept.map((line) => `${line}\n`).join(''));
  addModelParity(ledger, found);
} finally {
  fs.rmSync(folder, { recursive: true });
}
const { status } = spawnSync(process.execPath, [path.join(__dirname, 'docs-benchmarks.cjs')], {
  stdio: 'inherit',
});
process.exitCode = status;
