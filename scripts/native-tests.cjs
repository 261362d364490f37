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
const { suitesOf } = require('./native-suites.cjs');

const root = path.resolve(__dirname, '..');
// Where the addon was built lie the same objects.
const addonBuild = path.join(root, 'build', 'cmake', 'Release');
const hasAddonBuild = existsSync(path.join(addonBuild, 'CMakeCache.txt'));
const build = hasAddonBuild ? addonBuild : path.join(root, 'build', 'native-tests');
const run = (command, args) => execFileSync(command, args, { stdio: 'inherit', cwd: root });
const names = process.argv.slice(2);
const suites = suitesOf(names, { cpu: [], cuda: names.length === 0 ? ['--large'] : [] });

try {
  const options = ['-DCMAKE_BUILD_TYPE=Release', '-DCOMPACT_ADDON=OFF', '-DCOMPACT_CUDA=OFF'];
  if (!hasAddonBuild) run('cmake', ['-S', root, '-B', build, ...options]);
  const targets = suites.map(({ target }) => target);
  run('cmake', ['--build', build, '--parallel', String(os.availableParallelism()), '--target', ...targets]);
  for (const { target, words } of suites) run(path.join(build, target), words);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
