// Reads files of records and renders chat templates that are wrong in a few places, many more than the suite does:
//   node scripts/fuzz-records.cjs [calls = 20000] [seed = 1]
// Fails at the first that is neither refused with a typed error nor right.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const [calls = '20000', seed = '1'] = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  [
    require.resolve('jest/bin/jest'),
    'test/unit/fuzz-records.test.ts',
    '--runInBand',
    '--testTimeout=100000000',
  ],
  {
    cwd: path.resolve(__dirname, '..'),
    env: { ...process.env, COMPACT_FUZZ_RECORDS: calls, COMPACT_FUZZ_SEED: seed },
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
