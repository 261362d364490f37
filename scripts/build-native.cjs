#!/usr/bin/env node
// Builds the addon and its modules into build/<config>: compact_train.node, compact_train_cuda.so where there is nvcc,
// compact_train_cuda_emulated.so for tests. The one entry for npm, node-gyp and prebuildify.
//
//   node scripts/build-native.cjs [--config Release|Debug]
//   node scripts/build-native.cjs rebuild --release ...     (the words that node-gyp and prebuildify use)
//
// Variables: COMPACT_CUDA=OFF leaves the CUDA module out, COMPACT_CUDA_ARCHS=native or a list such as 80;90a chooses its
// architectures, CUDACXX names nvcc.
'use strict';

const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const args = process.argv.slice(2);
const named = args.indexOf('--config');
const config = named >= 0 ? args[named + 1] : args.includes('--debug') ? 'Debug' : 'Release';

// node-gyp starts this from make; its variables would leak into the inner build.
const env = { ...process.env };
for (const name of ['MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MAKEOVERRIDES']) delete env[name];

// CMake's own files go below build/cmake: node-gyp writes a Makefile into build/ itself.
const options = [
  ...['-d', root],
  ...['-O', path.join(root, 'build', 'cmake', config)],
  ...['-B', config],
  `--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=${path.join(root, 'build', config)}`,
  `--CDCOMPACT_CUDA=${process.env.COMPACT_CUDA ?? 'ON'}`,
  `--CDCOMPACT_CUDA_ARCHS=${process.env.COMPACT_CUDA_ARCHS ?? ''}`,
  ...['--parallel', String(os.availableParallelism())],
];
// Not `cmake-js compile`, which throws all objects away when one of them fails.
for (const command of ['configure', 'build']) {
  const words = [require.resolve('cmake-js/bin/cmake-js'), command, ...options];
  const { status, error } = spawnSync(process.execPath, words, { cwd: root, env, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
