// The C++ test programs: of the engine and the CPU (native/test), and on x86-64 Linux of the emulated CUDA kernels
// (cuda/test), whose names begin with cuda_.
'use strict';

/**
 * The programs that hold the named tests, all of them for no names, each with its arguments.
 * @param names of tests
 * @param options of either program
 */
exports.suitesOf = (names, options) => {
  const ofCuda = names.filter((name) => name.startsWith('cuda_'));
  const ofCpu = names.filter((name) => !name.startsWith('cuda_'));
  const canEmulate = process.platform === 'linux' && process.arch === 'x64';
  if (!canEmulate) console.log('skipped: kernels are emulated on x86-64 Linux only');
  const all = names.length === 0;
  return [
    { target: 'compact-native-tests', words: [...options.cpu, ...ofCpu], wanted: all || ofCpu.length > 0 },
    {
      target: 'compact-cuda-emulation-tests',
      words: [...options.cuda, ...ofCuda],
      wanted: canEmulate && (all || ofCuda.length > 0),
    },
  ].filter(({ wanted }) => wanted);
};
