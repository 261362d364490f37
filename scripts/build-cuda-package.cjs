// Builds the CUDA module for every supported architecture, makes the package compact-train-cuda-linux-x64 of it, packs
// that into build/, and writes the module's SHA-256 into prebuilds/, for the main package to carry: pack that afterwards.
'use strict';

const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const cudaBuild = require('./cuda-build.cjs');

const root = path.resolve(__dirname, '..');
const name = 'compact-train-cuda-linux-x64';
const built = cudaBuild.module;
const template = path.join(root, 'packages', name);
const folder = path.join(root, 'build', name);
const largestMegabytes = 100;

function main() {
  const problem = cudaBuild.build();
  if (problem !== undefined) throw new Error(`${name}: ${problem}`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(template, folder, { recursive: true });
  const read = (file) => fs.readFileSync(file, 'utf8');
  const { version, engines } = JSON.parse(read(path.join(root, 'package.json')));
  const described = JSON.parse(read(path.join(template, 'package.json')));
  fs.writeFileSync(
    path.join(folder, 'package.json'),
    `${JSON.stringify({ ...described, version, engines }, null, 2)}\n`,
  );
  const notice = path.join(folder, 'NOTICE');
  fs.writeFileSync(path.join(folder, 'LICENSE'), `${read(path.join(root, 'LICENSE'))}\n${read(notice)}`);
  fs.rmSync(notice);

  const module = path.join(folder, path.basename(built));
  execFileSync('strip', ['-o', module, built]);
  fs.chmodSync(module, 0o644);
  checkSymbols(module);
  writeHash(module);

  const npm = ['pack', '--json', '--pack-destination', path.join(root, 'build')];
  const [packed] = JSON.parse(execFileSync('npm', npm, { cwd: folder, encoding: 'utf8' }));
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(
    `${packed.filename}: ${megabytes(packed.size)} packed, ${megabytes(packed.unpackedSize)} unpacked`,
  );
  if (packed.size > largestMegabytes * 1e6) throw new Error(`the limit is ${largestMegabytes} MB`);
}

/** As `sha256sum` writes it. */
function writeHash(module) {
  const hash = createHash('sha256').update(fs.readFileSync(module)).digest('hex');
  const prebuilds = path.join(root, 'prebuilds', 'linux-x64');
  fs.mkdirSync(prebuilds, { recursive: true });
  fs.writeFileSync(
    path.join(prebuilds, `${path.basename(module)}.sha256`),
    `${hash}  ${path.basename(module)}\n`,
  );
}

/** One entry, and nothing of a newer C library than the addon itself needs. */
function checkSymbols(module) {
  const symbols = execFileSync('nm', ['--dynamic', module], { encoding: 'utf8' }).trim().split('\n');
  const defined = symbols.filter((line) => /^[0-9a-f]+ [A-Z] /.test(line)).map((line) => line.split(' ')[2]);
  if (defined.join() !== 'compact_cuda_backend') throw new Error(`${module} exports ${defined.join(', ')}`);
  const newest = symbols.filter((line) => Number(/@GLIBC_2\.(\d+)/.exec(line)?.[1] ?? 0) > 34);
  if (newest.length > 0) throw new Error(`${module} needs more than glibc 2.34: ${newest.join(', ')}`);
}

try {
  main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
