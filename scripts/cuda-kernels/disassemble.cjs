// Machine code of compiled kernels, by cuobjdump: of CUDA's toolkit, or the one that Python's triton brings along.
'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');

/** The cuobjdump of this machine, or undefined. */
exports.findDisassembler = () => {
  const toolkit = process.env.CUDA_HOME ?? process.env.CUDA_PATH ?? '/usr/local/cuda';
  const candidates = ['cuobjdump', path.join(toolkit, 'bin', 'cuobjdump'), ofTriton()];
  return candidates.find((file) => file !== undefined && answers(file, ['--version']));
};

function ofTriton() {
  const code =
    'import importlib.util; print(importlib.util.find_spec("triton").submodule_search_locations[0])';
  try {
    const folder = execFileSync('python3', ['-c', code], { encoding: 'utf8', stdio: 'pipe' }).trim();
    return path.join(folder, 'backends', 'nvidia', 'bin', 'cuobjdump');
  } catch {
    return undefined; // no Python, or no triton
  }
}

function answers(file, words) {
  try {
    execFileSync(file, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Kernels of an object for one architecture: { symbol, name, instructions: [{ address, text }] }. */
exports.disassemble = (cuobjdump, object, architecture) => {
  const words = ['-sass', '-arch', `sm_${architecture}`, object];
  const listing = execFileSync(cuobjdump, words, {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const kernels = [];
  for (const line of listing.split('\n')) {
    const begin = /Function : (\S+)/.exec(line);
    if (begin !== null) kernels.push({ symbol: begin[1], instructions: [] });
    // Behind an instruction stands its encoding, or what it waits for.
    const code = /^\s+\/\*([0-9a-f]+)\*\/\s+([^;&?]+?)\s*(?:[;&?]|$)/.exec(line);
    if (code !== null)
      kernels.at(-1).instructions.push({ address: Number.parseInt(code[1], 16), text: code[2] });
  }
  const names = plainNames(kernels.map(({ symbol }) => symbol));
  return kernels.map((kernel, i) => ({ ...kernel, name: names[i] }));
};

/** As sources write them, without namespaces, types of constants, and parameters: panel_kernel<0>. */
function plainNames(symbols) {
  const names = execFileSync('c++filt', { input: symbols.join('\n'), encoding: 'utf8' })
    .trimEnd()
    .split('\n');
  return names.map((name) =>
    name
      .replaceAll(/^void |compact::|\(anonymous namespace\)::|\(compact::\w+\)(?=\d)/g, '')
      .replace(/\(.*/, ''),
  );
}
