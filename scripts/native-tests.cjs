#!/usr/bin/env node
// Builds and runs the C++ test runner (native/test), which needs neither Node nor an addon.
'use strict';
const { execFileSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const build = path.join(root, 'build', 'native-tests');
const run = (command, args) => execFileSync(command, args, { stdio: 'inherit', cwd: root });
try {
  const options = ['-DCMAKE_BUILD_TYPE=Release', '-DCOMPACT_ADDON=OFF', '-DCOMPACT_CUDA=OFF'];
  run('cmake', ['-S', root, '-B', build, ...options]);
  const parallel = String(os.availableParallelism());
  run('cmake', ['--build', build, '--parallel', parallel, '--target', 'compact-native-tests']);
  run(path.join(build, 'compact-native-tests'), process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
