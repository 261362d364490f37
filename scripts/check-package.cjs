#!/usr/bin/env node
// Checks the package as a user gets it: packs it (which builds what it holds), lints the tarball (publint,
// arethetypeswrong), then installs it into an empty project with scripts blocked and uses it from CommonJS, ESM,
// TypeScript and the shell; the same with the package of the CUDA module beside it, where that can be built; and runs the
// code blocks of README.md and the programs of docs/.
'use strict';

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const cudaBuild = require('./cuda-build.cjs');
const { runBlocks } = require('./readme-blocks.cjs');

const root = path.resolve(__dirname, '..');
const { version, devDependencies } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const cudaPackage = 'compact-train-cuda-linux-x64';
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const largestMegabytes = 15;

const tool = (name) => path.join(root, 'node_modules', '.bin', name);
const run = (command, args, cwd = root) => {
  console.log(`$ ${path.basename(command)} ${args.join(' ')}`);
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
};
const install = (project, ...packages) =>
  run(npm, ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages], project);
const commandOf = (project) => path.join(project, 'node_modules', '.bin', 'compact-train');
const inspect = (project) => JSON.parse(run(commandOf(project), ['inspect', '--json'], project));

/** The tarball that users get, after a look at what is in it. */
function pack(work) {
  run(npm, ['pack', '--pack-destination', work]);
  const tarball = path.join(work, `compact-train-${version}.tgz`);
  const files = run('tar', ['-tzf', tarball]).trim().split('\n');
  const megabytes = fs.statSync(tarball).size / 1e6;
  console.log(`${path.basename(tarball)}: ${megabytes.toFixed(2)} MB packed, ${files.length} files`);
  if (megabytes > largestMegabytes)
    throw new Error(`the package is ${megabytes.toFixed(1)} MB; the limit is ${largestMegabytes} MB`);
  if (!files.some((file) => file.includes(`/prebuilds/${process.platform}-${process.arch}/`)))
    throw new Error('there is no addon of this platform in the package');
  const modules = files.filter((file) => file.endsWith('.so'));
  if (modules.length > 0) throw new Error('modules are in the package; they have one of their own');
  const maps = files.filter((file) => file.endsWith('.map'));
  if (maps.length > 0) throw new Error(`maps of sources that are not in the package: ${maps.join(', ')}`);
  run(tool('publint'), ['run', tarball, '--strict']);
  run(tool('attw'), [tarball, '--profile', 'node16', '--no-color']);
  return tarball;
}

function makeProject(work, name, ...packages) {
  const project = path.join(work, name);
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{ "name": "consumer", "private": true }\n');
  install(project, ...packages);
  return project;
}

/** Strict, the declarations of packages checked too, and with nothing that a reader does not know to set. */
function writeTypeScriptConfig(project) {
  const compilerOptions = { strict: true, module: 'nodenext', target: 'es2022', lib: ['es2022'] };
  fs.writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
}

function checkEntries(project) {
  const use = `
    if (typeof compact.llama !== 'function') throw new Error('llama is missing');
    if (!environment().ops.includes('project')) throw new Error('native ops are missing');
    if (!opDefinitions.has('matmul')) throw new Error('ops of graphs are missing');`;
  fs.writeFileSync(
    path.join(project, 'cjs.cjs'),
    `const compact = require('compact-train');
    const { environment } = require('compact-train/runtime');
    const { opDefinitions } = require('compact-train/graph');${use}\n`,
  );
  fs.writeFileSync(
    path.join(project, 'esm.mjs'),
    `import * as compact from 'compact-train';
    import { environment } from 'compact-train/runtime';
    import { opDefinitions } from 'compact-train/graph';${use}\n`,
  );
  fs.writeFileSync(
    path.join(project, 'types.mts'),
    `import { Trainer, compact, llama, type Plan } from 'compact-train';
    import type { Method } from 'compact-train/graph';
    import { Engine } from 'compact-train/runtime';
    const method: Method = compact({ rankRatio: 0.25 });
    export const names: [string, string] = [method.name, llama('llama-60m').name];
    export type Peak = Plan['peakBytes'];
    export const losses = async (options: Parameters<typeof Trainer.create>[0]): Promise<number[]> => {
      await using trainer = await Trainer.create(options);
      await using engine = await Engine.open();
      trainer.on('step', ({ loss }) => console.log(loss.toFixed(3), engine.device));
      const losses: number[] = [];
      for await (const { loss } of trainer) losses.push(loss);
      return losses;
    };\n`,
  );
  run(process.execPath, ['cjs.cjs'], project);
  run(process.execPath, ['esm.mjs'], project);
  writeTypeScriptConfig(project);
  run(tool('tsc'), ['-p', '.', '--noEmit'], project);
}

function checkAbsentModule(project) {
  const { version: installed, cuda } = inspect(project);
  if (installed !== version) throw new Error(`inspect says version ${installed}`);
  if (cuda.module !== null || cuda.reason !== 'module-absent' || !cuda.problem.includes(cudaPackage))
    throw new Error(`inspect says of the absent CUDA module: ${JSON.stringify(cuda)}`);
}

/** The package of the CUDA module, where it can be built. */
function packCuda() {
  const problem = cudaBuild.build();
  if (problem !== undefined) {
    console.log(`skipped: the package of the CUDA module: ${problem}`);
    return undefined;
  }
  console.log(run(npm, ['run', '--silent', 'build:cuda-package']).trim());
  return path.join(root, 'build', `${cudaPackage}-${version}.tgz`);
}

function checkModule(project, tarball) {
  install(project, tarball);
  const { module, architectures, problem } = inspect(project).cuda;
  console.log(`CUDA module ${module}: ${architectures.join(' ')}; ${problem ?? 'a device can be used'}`);
  if (module !== path.join(project, 'node_modules', cudaPackage, 'compact_train_cuda.so'))
    throw new Error(`the CUDA module was not taken from its package: ${module}`);
  if (architectures.join(' ') !== '80 86 89 90a 100a 120 compute_80')
    throw new Error(`the CUDA module is for ${architectures.join(' ')}`);
  run(commandOf(project), ['plan', '--model', 'llama-60m', '--device', 'cuda'], project);
}

/** What the page of recipes reads: a few records in the form of GSM8K. */
function writeProblems(folder) {
  fs.mkdirSync(folder);
  const records = [1, 2, 3].map((n) => {
    const answer = `${n} + ${n} = <<${n}+${n}=${2 * n}>>${2 * n} pears.\n#### ${2 * n}`;
    return JSON.stringify({ question: `Ann has ${n} pears and buys as many. How many has she?`, answer });
  });
  for (const part of ['train', 'test'])
    fs.writeFileSync(path.join(folder, `${part}.jsonl`), records.join('\n'));
}

/** What a server needs beside this package, and what its clients do. */
const serverPackages = [
  'fastify',
  '@fastify/multipart',
  'tar-stream',
  'uplot',
  'node-sqlite3-wasm',
  'openai',
];

/** A server for the page about it: its blocks are told where it is by the environment. */
function startServer(project) {
  install(project, ...serverPackages.map((name) => `${name}@${devDependencies[name]}`));
  const output = path.join(project, 'server.out');
  const words = ['serve', '--data-directory', 'server-data', '--port', '0', '--json'];
  const stdio = ['ignore', fs.openSync(output, 'w'), 'inherit'];
  const server = spawn(commandOf(project), words, { cwd: project, stdio });
  for (let waits = 0; !fs.readFileSync(output, 'utf8').includes('\n'); waits++) {
    if (waits > 600) throw new Error('the server did not start within a minute');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  const { url, key } = JSON.parse(fs.readFileSync(output, 'utf8'));
  process.env.COMPACT_TRAIN_URL = `${url}/v1`;
  process.env.COMPACT_TRAIN_API_KEY = key;
  return server;
}

/** The blocks of documents in a project of their own, with the files that a reader brings: a book, problems, a recipe. */
function checkDocuments(work, tarball, cudaTarball) {
  const typeScript = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`);
  const project = makeProject(work, 'reader', tarball, ...typeScript);
  writeTypeScriptConfig(project);
  const addresses = path.join(root, 'corpora', 'addresses');
  const [text] = fs.readdirSync(addresses).filter((name) => name.startsWith('1900'));
  fs.copyFileSync(path.join(addresses, text), path.join(project, 'book.txt'));
  const recipe = fs.readFileSync(path.join(root, 'recipes', 'quickstart.yaml'), 'utf8');
  fs.writeFileSync(path.join(project, 'recipe.yaml'), recipe.replaceAll('runs/quickstart', 'runs/recipe'));
  writeProblems(path.join(project, 'gsm8k'));
  const [compiler, nodeTypes] = typeScript;
  const packages = {
    'compact-train': tarball,
    [cudaPackage]: cudaTarball,
    typescript: compiler,
    '@types/node': nodeTypes,
  };
  runBlocks(path.join(root, 'README.md'), project, { packages });
  const pages = fs.readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const server = startServer(project);
  try {
    for (const page of pages)
      runBlocks(path.join(root, 'docs', page), project, { packages, only: ['ts', 'js'] });
  } finally {
    server.kill('SIGTERM');
  }
}

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-train-package-'));
try {
  const cudaTarball = packCuda(); // first: the main package carries the hash of its module
  const tarball = pack(work);
  const project = makeProject(work, 'project', tarball, `@types/node@${devDependencies['@types/node']}`);
  checkEntries(project);
  checkAbsentModule(project);
  if (cudaTarball !== undefined) checkModule(project, cudaTarball);
  checkDocuments(work, tarball, cudaTarball);
  console.log('package: ok');
} catch (error) {
  console.error(error.stdout ?? '', error.message);
  process.exitCode = 1;
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}
