// Compiles lib/ into dist/, without what a former build has left there, and makes the command executable.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');

fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
const { status, error } = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.json')], {
  cwd: root,
  stdio: 'inherit',
});
if (error) throw error;

const command = path.join(root, 'dist', 'cli', 'main.js');
if (fs.existsSync(command)) fs.chmodSync(command, 0o755);
process.exitCode = status ?? 1;
