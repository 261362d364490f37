// Sends requests to a server that are wrong in a few places, many more than the suite does:
//   node scripts/fuzz-server.cjs [requests = 10000] [seed = 1]
// Fails at the first that is answered as if it were the server's fault, or in another shape than the API's.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const [requests = '10000', seed = '1'] = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  [
    require.resolve('jest/bin/jest'),
    'test/server/fuzz-server.test.ts',
    '--runInBand',
    '--testTimeout=100000000',
  ],
  {
    cwd: path.resolve(__dirname, '..'),
    env: { ...process.env, COMPACT_FUZZ_SERVER: requests, COMPACT_FUZZ_SEED: seed },
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
