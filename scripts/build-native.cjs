#!/usr/bin/env node
// Builds the addon into build/<config>/compact_train.node, and beside it, where this machine has an NVIDIA GPU and nvcc,
// the CUDA module for that GPU. The one entry for npm, node-gyp and prebuildify.
//
//   node scripts/build-native.cjs [--config Release|Debug]
//   node scripts/build-native.cjs --target NAME             one target of what is configured already, if anything is
//   node scripts/build-native.cjs rebuild --release ...     the words of prebuildify, which wants the addon alone
//
// Variables: COMPACT_CUDA=OFF leaves the CUDA module out, COMPACT_CUDA_ARCHS chooses its architectures (a list such as
// 80;90a, native, or all), CUDACXX names nvcc.
'use strict';

const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const args = process.argv.slice(2);
const named = (word) => (args.includes(word) ? args[args.indexOf(word) + 1] : undefined);
const config = named('--config') ?? (args.includes('--debug') ? 'Debug' : 'Release');
const target = args.includes('rebuild')
  ? 'compact_train'
  : args.includes('--target')
    ? named('--target')
    : undefined;

// node-gyp starts this from make; its variables would leak into the inner build.
const env = { ...process.env };
for (const name of ['MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MAKEOVERRIDES']) delete env[name];

// CMake's own files go below build/cmake: node-gyp writes a Makefile into build/ itself.
const options = [
  ...['-d', root],
  ...['-O', path.join(root, 'build', 'cmake', config)],
  ...['-B', config],
  ...(target === undefined ? [] : ['--target', target]),
  `--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=${path.join(root, 'build', config)}`,
  `--CDCOMPACT_CUDA=${process.env.COMPACT_CUDA ?? 'ON'}`,
  `--CDCOMPACT_CUDA_ARCHS=${process.env.COMPACT_CUDA_ARCHS ?? ''}`,
  ...['--parallel', String(os.availableParallelism())],
];
// Not `cmake-js compile`, which throws all objects away when one of them fails. `build` configures what is not.
for (const command of target === undefined ? ['configure', 'build'] : ['build']) {
  const words = [require.resolve('cmake-js/bin/cmake-js'), command, ...options];
  const { status, error } = spawnSync(process.execPath, words, { cwd: root, env, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
