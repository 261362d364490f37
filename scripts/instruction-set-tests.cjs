#!/usr/bin/env node
// Runs the tests of training, command line, benchmarks and engines once for each instruction set of this CPU, as a lesser CPU would
// run them: what holds on the machine that it was written on has to hold on others. (The tests of ops go through all
// instruction sets by themselves.)
//
//   node scripts/instruction-set-tests.cjs [--quick] [jest arguments]     --quick: training alone
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const args = process.argv.slice(2);
const isQuick = args.includes('--quick');
const others = args.filter((arg) => arg !== '--quick');
const suites = isQuick
  ? ['test/train/trainer.test.ts', 'test/train/resume.test.ts']
  : ['test/train', 'test/cli', 'test/bench', 'test/lifecycle'];

const { environment } = require(path.join(root, 'dist', 'index.js'));
const { instructionSets, chosen } = environment().cpu;
const lesser = instructionSets.filter((set) => set !== chosen);
console.log(`this CPU: ${instructionSets.join(' ')}; \`npm test\` runs with ${chosen}`);
const failed = lesser.filter((set) => {
  console.log(`== ${set}`);
  const { status } = spawnSync(process.execPath, [require.resolve('jest/bin/jest'), ...suites, ...others], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, COMPACT_INSTRUCTION_SET: set },
  });
  return status !== 0;
});
for (const set of failed) console.error(`failed: ${set}`);
process.exitCode = failed.length === 0 ? 0 : 1;
