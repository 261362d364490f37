#!/usr/bin/env node
// Builds and runs the C++ tests, which need neither Node nor an addon: those of the engine and the CPU (native/test),
// and on x86-64 Linux those of the emulated CUDA kernels (cuda/test), whose names begin with cuda_.
//
//   node scripts/native-tests.cjs [test name ...]
'use strict';
const { execFileSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { inTwoShards, runSideBySide, suitesOf } = require('./native-suites.cjs');

const root = path.resolve(__dirname, '..');
// Where the addon was built lie the same objects.
const addonBuild = path.join(root, 'build', 'cmake', 'Release');
const hasAddonBuild = existsSync(path.join(addonBuild, 'CMakeCache.txt'));
const folder = hasAddonBuild ? addonBuild : path.join(root, 'build', 'native-tests');
const run = (command, args) => execFileSync(command, args, { stdio: 'inherit', cwd: root });
const names = process.argv.slice(2);
const isWhole = names.length === 0;
const suites = suitesOf(names, { cpu: [], cuda: [] });

/** Of the emulated kernels the large tests are a run of their own: only so it checks that they have every op. */
const wholeRuns = (suite) =>
  suite.target.includes('cuda')
    ? [...inTwoShards(suite), { ...suite, words: ['--large', 'cuda_large'] }]
    : [suite];

async function main() {
  const options = ['-DCMAKE_BUILD_TYPE=Release', '-DCOMPACT_ADDON=OFF', '-DCOMPACT_CUDA=OFF'];
  if (!hasAddonBuild) run('cmake', ['-S', root, '-B', folder, ...options]);
  const targets = suites.map(({ target }) => target);
  run('cmake', ['--build', folder, '--parallel', String(os.availableParallelism()), '--target', ...targets]);
  const runs = isWhole ? suites.toReversed().flatMap(wholeRuns) : suites;
  await runSideBySide(
    runs.map((each) => ({ ...each, folder })),
    process.env,
  );
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
