'use strict';
/*
 * Every call to the file system of a run with four saves fails once, and for good, with each of four errors; and the
 * process is killed at each of them. The suite tries every so many calls, this script all: minutes to an hour.
 *
 *   npm run build:ts && node scripts/fault-sweep.cjs          TMPDIR=/dev/shm makes it several times as fast
 */
const { spawnSync } = require('node:child_process');
const { dirname, join } = require('node:path');

const root = join(__dirname, '..');
const { status } = spawnSync(
  process.execPath,
  [
    join(dirname(require.resolve('jest/package.json')), 'bin', 'jest.js'),
    '--runInBand',
    'test/train/faults.test.ts',
    'test/train/kill.test.ts',
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, FAULT_STRIDE: '1' } },
);
process.exit(status ?? 1);
