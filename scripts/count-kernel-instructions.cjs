// Counts the machine instructions of the main loop of every kernel in a source, by kind; of kernels without one, of all that
// they do. What scripts/check-cuda-kernels.cjs counts of hot loops, for a source that is being worked on.
//
//   node scripts/count-kernel-instructions.cjs [--arch 90a] cuda/gemm/gemm_update.cu ...     needs nvcc and cuobjdump
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { disassemble, findDisassembler } = require('./cuda-kernels/disassemble.cjs');
const { countHotPath } = require('./cuda-kernels/hot-path.cjs');

const root = path.resolve(__dirname, '..');
const { values, positionals } = parseArgs({
  options: { arch: { type: 'string', default: '90a' } },
  allowPositionals: true,
});
const cuobjdump = findDisassembler();
if (cuobjdump === undefined) {
  console.error("there is no cuobjdump: install CUDA's toolkit, or Python's triton");
  process.exit(1);
}
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-train-code-'));
try {
  for (const source of positionals) {
    for (const { name, instructions } of disassemble(cuobjdump, compile(source), values.arch)) {
      const { isLoop, ...counts } = countHotPath(instructions);
      const parts = Object.entries(counts).filter(([, n]) => n > 0);
      console.log(
        `${name}\n    ${isLoop ? 'loop' : 'kernel'}: ${parts.map((part) => part.join(' ')).join(', ')}`,
      );
    }
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}

function compile(source) {
  const target = path.join(folder, 'kernel.cubin');
  const flags = ['-cubin', '-std=c++17', '-fmad=false', `-arch=sm_${values.arch}`, '-I', root, '-o', target];
  execFileSync('nvcc', [...flags, path.resolve(root, source)], { stdio: ['ignore', 2, 2] });
  return target;
}
