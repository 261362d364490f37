// Builds the CUDA kernels as C++ for the CPU, build/Release/compact_train_cuda_emulated.so: the device of the tests that
// need one, in no package. `npm test` runs this first; when nothing has changed it takes a second.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log('skipped: kernels are emulated on x86-64 Linux only');
} else {
  console.log('Building the emulated CUDA kernels for the tests: minutes the first time, then a second');
  const words = [path.join(__dirname, 'build-native.cjs'), '--target', 'compact_train_cuda_emulated'];
  const { status, error } = spawnSync(process.execPath, words, { stdio: 'inherit' });
  if (error) throw error;
  process.exitCode = status ?? 1;
}
