// The C++ test programs: of the engine and the CPU (native/test), and on x86-64 Linux of the emulated CUDA kernels
// (cuda/test), whose names begin with cuda_.
'use strict';

const { execFile } = require('node:child_process');
const path = require('node:path');

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

/** The runs of a suite as a whole. One of the emulated kernels takes minutes: two, each of every second test. */
exports.inTwoShards = ({ words, ...suite }) =>
  ['1/2', '2/2'].map((shard) => ({ ...suite, words: [...words, '--shard', shard] }));

/**
 * Runs programs two at a time, for most of the time each fills one core, and prints the output of each as a whole. The
 * exit code of this process becomes 1 when one fails.
 * @param runs { folder, target, words, title }, the longest first: then no core waits long at the end
 */
exports.runSideBySide = async (runs, env) => {
  const waiting = [...runs];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await run(next, env);
  };
  await Promise.all([work(), work()]);
};

function run({ folder, target, words, title = '' }, env) {
  return new Promise((resolve) => {
    execFile(path.join(folder, target), words, { env, maxBuffer: 2 ** 30 }, (error, stdout, stderr) => {
      console.log(`== ${[target, ...words].join(' ')}${title}\n${stdout}${stderr}`);
      if (error) {
        console.error(error.message.split('\n')[0]);
        process.exitCode = 1;
      }
      resolve();
    });
  });
}
