// Calls every public entry with arguments that are wrong in one place, and opens files of models that are broken in a few
// (safetensors, indexes of shards, config.json), many more times than the suite does:
//   node scripts/fuzz-inputs.cjs [calls = 100000] [seed = 1]
// Prints how many calls of each entry there were, how many were refused, and the slowest; fails at the first that is
// neither refused with a typed error nor right.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const [calls = '100000', seed = '1'] = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  [require.resolve('jest/bin/jest'), 'test/unit/hostile-(inputs|weights).test.ts', '--runInBand'],
  {
    cwd: path.resolve(__dirname, '..'),
    env: { ...process.env, COMPACT_FUZZ_INPUTS: calls, COMPACT_FUZZ_SEED: seed },
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
