// Compiles lib/ into dist/, without what a former build has left there, and makes the command executable. What runs in a
// browser (lib/dashboard) is compiled for it.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');

fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
const compile = (project) => {
  const { status, error } = spawnSync(process.execPath, [tsc, '-p', path.join(root, project)], {
    cwd: root,
    stdio: 'inherit',
  });
  if (error) throw error;
  return status ?? 1;
};
const failed = [compile('tsconfig.json'), compile(path.join('lib', 'dashboard'))].find(
  (status) => status !== 0,
);
for (const name of ['index.html', 'style.css'])
  fs.copyFileSync(path.join(root, 'lib', 'dashboard', name), path.join(root, 'dist', 'dashboard', name));

const command = path.join(root, 'dist', 'cli', 'main.js');
if (fs.existsSync(command)) fs.chmodSync(command, 0o755);
process.exitCode = failed ?? 0;
