#!/usr/bin/env node
// Formats (--write) or checks (--check) every C++ and CUDA file with the pinned clang-format of node_modules.
'use strict';
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const write = process.argv.includes('--write');
const files = ['native', 'cuda', 'bench/native']
  .map((folder) => path.join(root, folder))
  .filter((folder) => fs.existsSync(folder))
  .flatMap((folder) =>
    fs
      .readdirSync(folder, { recursive: true })
      .filter((name) => /\.(cc|cpp|h|cu|cuh)$/.test(name))
      .map((name) => path.join(folder, name)),
  );
if (files.length === 0) process.exit(0);
const tool = path.join(root, 'node_modules', 'clang-format', 'index.js');
const options = write ? ['-i'] : ['--dry-run', '--Werror'];
try {
  execFileSync(process.execPath, [tool, '-style=file', ...options, ...files], {
    stdio: 'inherit',
    cwd: root,
  });
} catch {
  console.error('Run `npm run format` to format the files named above.');
  process.exitCode = 1;
}
