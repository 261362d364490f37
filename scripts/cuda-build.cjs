// The CUDA module as its package holds it, for every supported architecture, in a folder of its own: build/Release keeps
// what is for the GPU of this machine.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const folder = path.join(root, 'build', 'cuda');

exports.module = path.join(folder, 'compact_train_cuda.so');
exports.objects = path.join(folder, 'cuda', 'CMakeFiles', 'compact_cuda.dir');

/** Builds it and gives undefined, or why that is not possible here: 'not built, ...'. Throws when a build fails. */
exports.build = () => {
  const configured = execFileSync(
    'cmake',
    [
      ...['-S', root, '-B', folder, '-DCOMPACT_ADDON=OFF', `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${folder}`],
      ...[`-DCOMPACT_CUDA=${process.env.COMPACT_CUDA ?? 'ON'}`, '-DCOMPACT_CUDA_ARCHS=all'],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [, said] = /CUDA module: (.*)/.exec(configured) ?? [];
  if (!said?.startsWith('nvcc')) return said ?? 'not built, it is for x86-64 Linux only';
  console.log(`Building the CUDA module, ${said}: up to 15 minutes the first time`);
  const words = ['--build', folder, '--target', 'compact_train_cuda'];
  execFileSync('cmake', [...words, '--parallel', String(os.availableParallelism())], { stdio: 'inherit' });
  return undefined;
};

/** What has built it: nvcc 13.0.88. */
exports.compiler = () => {
  const cache = fs.readFileSync(path.join(folder, 'CMakeCache.txt'), 'utf8');
  const [, nvcc] = /^CMAKE_CUDA_COMPILER:\w+=(.+)$/m.exec(cache);
  return `nvcc ${/V(\S+)/.exec(execFileSync(nvcc, ['--version'], { encoding: 'utf8' }))[1]}`;
};
