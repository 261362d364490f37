#!/usr/bin/env node
// Checks the package as a user gets it: builds prebuilds, packs, lints the tarball (publint, arethetypeswrong), then
// installs it into an empty project with scripts blocked and uses it from CommonJS, ESM, TypeScript and the shell.
'use strict';
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
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
  const report = JSON.parse(
    run(path.join(project, 'node_modules/.bin/compact-train'), ['inspect', '--json'], project),
  );
  if (report.version !== packed.version) throw new Error(`inspect says version ${report.version}`);
  console.log('package: ok');
} catch (error) {
  console.error(error.stdout ?? '', error.message);
  process.exitCode = 1;
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}
