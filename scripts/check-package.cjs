#!/usr/bin/env node
// Checks the package as a user gets it: builds prebuilds, packs, lints the tarball (publint, arethetypeswrong), then
// installs it into an empty project with scripts blocked and uses it from CommonJS, ESM, TypeScript and the shell; then
// the same with the package of the CUDA module beside it, where that can be built.
'use strict';
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const cudaPackage = 'compact-train-cuda-linux-x64';
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const tool = (name) => path.join(root, 'node_modules', '.bin', name);
const run = (command, args, cwd = root) => {
  console.log(`$ ${path.basename(command)} ${args.join(' ')}`);
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
};

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-train-package-'));
try {
  run(npm, ['run', '--silent', 'build:prebuilds']);
  const [packed] = JSON.parse(run(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', work]));
  const tarball = path.join(work, packed.filename);
  const megabytes = packed.size / 1e6;
  console.log(`${packed.filename}: ${megabytes.toFixed(2)} MB packed, ${packed.entryCount} files`);
  if (megabytes > 15) throw new Error(`the package is ${megabytes.toFixed(1)} MB; the limit is 15 MB`);
  const modules = packed.files.filter(({ path: file }) => file.endsWith('.so'));
  if (modules.length > 0) throw new Error('modules are in the package; they have one of their own');

  run(tool('publint'), ['run', tarball, '--strict']);
  run(tool('attw'), [tarball, '--profile', 'node16', '--no-color']);

  const project = path.join(work, 'project');
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{ "name": "consumer", "private": true }\n');
  run(npm, ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball], project);

  const use = `
    const environment = compact.environment();
    if (typeof compact.llama !== 'function') throw new Error('llama is missing');
    if (!environment.ops.includes('project')) throw new Error('native ops are missing');`;
  fs.writeFileSync(path.join(project, 'cjs.cjs'), `const compact = require('compact-train');${use}\n`);
  fs.writeFileSync(path.join(project, 'esm.mjs'), `import * as compact from 'compact-train';${use}\n`);
  fs.writeFileSync(
    path.join(project, 'types.ts'),
    `import { compact, llama, type Plan } from 'compact-train';\n` +
      `const method = compact({ rankRatio: 0.25 });\nexport const names: [string, string] = [method.name, llama('llama-60m').name];\n` +
      `export type Peak = Plan['peakBytes'];\n`,
  );
  run(process.execPath, ['cjs.cjs'], project);
  run(process.execPath, ['esm.mjs'], project);
  const compilerOptions = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable',
  ];
  run(
    tool('tsc'),
    [
      ...compilerOptions,
      '--types',
      'node',
      '--typeRoots',
      path.join(root, 'node_modules/@types'),
      'types.ts',
    ],
    project,
  );
  const inspect = () =>
    JSON.parse(run(path.join(project, 'node_modules/.bin/compact-train'), ['inspect', '--json'], project));
  const { version, cuda } = inspect();
  if (version !== packed.version) throw new Error(`inspect says version ${version}`);
  if (cuda.module !== null || cuda.reason !== 'module-absent' || !cuda.problem.includes(cudaPackage))
    throw new Error(`inspect says of the absent CUDA module: ${JSON.stringify(cuda)}`);

  if (fs.existsSync(path.join(root, 'build', 'Release', 'compact_train_cuda.so'))) {
    console.log(run(npm, ['run', '--silent', 'build:cuda-package']).trim());
    const cudaTarball = path.join(root, 'build', `${cudaPackage}-${packed.version}.tgz`);
    run(npm, ['install', '--ignore-scripts', '--no-audit', '--no-fund', cudaTarball], project);
    const { module, architectures, problem } = inspect().cuda;
    console.log(`CUDA module ${module}: ${architectures.join(' ')}; ${problem ?? 'a device can be used'}`);
    if (module !== path.join(project, 'node_modules', cudaPackage, 'compact_train_cuda.so'))
      throw new Error(`the CUDA module was not taken from its package: ${module}`);
    if (architectures.join(' ') !== '80 86 89 90a 100a 120 compute_80')
      throw new Error(`the CUDA module is for ${architectures.join(' ')}`);
    run(
      path.join(project, 'node_modules/.bin/compact-train'),
      ['plan', '--model', 'llama-60m', '--device', 'cuda'],
      project,
    );
  } else {
    console.log('skipped: the package of the CUDA module (no nvcc, or COMPACT_CUDA=OFF)');
  }
  console.log('package: ok');
} catch (error) {
  console.error(error.stdout ?? '', error.message);
  process.exitCode = 1;
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}
