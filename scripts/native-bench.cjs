#!/usr/bin/env node
// Builds and runs the C++ benchmark (bench/native): products and the random projection beside what the processor's
// instructions can reach.
//
//   npm run bench:native -- [--ledger FILE] [--threads N] [--seconds S] [--set NAME] [M K N]...
'use strict';
const { execFileSync } = require('node:child_process');
const { appendFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const build = path.join(root, 'build', 'native-tests');
const args = process.argv.slice(2);
const named = args.indexOf('--ledger');
const ledger = named < 0 ? undefined : args.splice(named, 2)[1];

const run = (command, words, stdio) => execFileSync(command, words, { cwd: root, stdio });
try {
  const quiet = ['ignore', 2, 2];
  run('cmake', ['-S', root, '-B', build, '-DCMAKE_BUILD_TYPE=Release', '-DCOMPACT_ADDON=OFF'], quiet);
  const parallel = String(os.availableParallelism());
  run('cmake', ['--build', build, '--parallel', parallel, '--target', 'compact-native-bench'], quiet);
  const lines = run(path.join(build, 'compact-native-bench'), args, ['ignore', 'pipe', 2]).toString();
  process.stdout.write(lines);
  if (ledger !== undefined) {
    const commit = run('git', ['rev-parse', '--short', 'HEAD'], 'pipe').toString().trim();
    const context = { device: os.cpus()[0].model, commit, date: new Date().toISOString() };
    const rows = lines
      .trim()
      .split('\n')
      .map((line) => JSON.stringify({ ...JSON.parse(line), ...context }));
    appendFileSync(path.resolve(ledger), `${rows.join('\n')}\n`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
