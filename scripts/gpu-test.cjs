// Runs the tests of ops, whole models and training on the GPU of this machine, where `npm test` runs them on the
// emulation: nothing is skipped. Arguments go to jest.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

function findGpu() {
  try {
    const { cudaReport } = require(path.join(root, 'dist', 'runtime', 'index.js'));
    const { devices, problem } = cudaReport();
    const usable = devices.find((device) => device.problem === null);
    if (usable === undefined) return { problem: problem ?? 'none was found' };
    return { name: `${usable.name}, compute capability ${usable.computeCapability}` };
  } catch (error) {
    return { problem: `the package is not built (npm run build): ${error.message}` };
  }
}

const gpu = findGpu();
if (gpu.name === undefined) {
  console.error(`test:gpu needs an NVIDIA GPU, and there is none to use here: ${gpu.problem}`);
  process.exit(1);
}
console.log(`on ${gpu.name}`);
const { status } = spawnSync(
  process.execPath,
  [
    require.resolve('jest/bin/jest'),
    ...['test/ops', 'test/train/cuda-', '--testPathIgnorePatterns', 'test/ops/whole-model.test.ts'],
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, COMPACT_TEST_DEVICE: 'cuda' } },
);
process.exit(status ?? 1);
