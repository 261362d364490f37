// Builds and runs the C++ tests under AddressSanitizer + UndefinedBehaviorSanitizer, then ThreadSanitizer: those of the
// engine and the CPU, and on x86-64 Linux those of the emulated CUDA kernels, in sizes that a sanitizer can afford.
//
//   node scripts/sanitize.cjs [address,undefined | thread] [-- test name ...]      names of CUDA tests begin with cuda_
'use strict';

const { execFile, execFileSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');
const { suitesOf } = require('./native-suites.cjs');

const root = path.resolve(__dirname, '..');
const args = process.argv.slice(2);
const separator = args.includes('--') ? args.indexOf('--') : args.length;
const chosen = args.slice(0, separator);
const names = args.slice(separator + 1);

const suites = suitesOf(names, { cpu: ['--reduced'], cuda: ['--reduced'] });

const env = {
  ...process.env,
  // Absurd sizes must come back as nullptr, as they do without a sanitizer.
  ASAN_OPTIONS: 'allocator_may_return_null=1:detect_leaks=1',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1',
};

const folderOf = (sanitizers) => path.join(root, 'build', `sanitize-${sanitizers.replace(',', '-')}`);

function build(sanitizers) {
  const run = (command, words) => execFileSync(command, words, { cwd: root, env, stdio: 'inherit' });
  console.log(`== ${sanitizers}`);
  const folder = folderOf(sanitizers);
  run('cmake', ['-S', root, '-B', folder, '-DCOMPACT_ADDON=OFF', `-DCOMPACT_SANITIZE=${sanitizers}`]);
  run('cmake', [
    ...['--build', folder, '--target', ...suites.map(({ target }) => target)],
    ...['--parallel', String(os.availableParallelism())],
  ]);
}

/** Prints the output of a run as a whole, because runs are side by side: most of the time each fills one core. */
function run({ sanitizers, target, words }) {
  const options = { cwd: root, env, maxBuffer: 2 ** 30 };
  return new Promise((resolve) => {
    execFile(path.join(folderOf(sanitizers), target), words, options, (error, stdout, stderr) => {
      console.log(`== ${target} ${words.join(' ')}, ${sanitizers}\n${stdout}${stderr}`);
      if (error) {
        console.error(error.message.split('\n')[0]);
        process.exitCode = 1;
      }
      resolve();
    });
  });
}

/** The runs of a suite. ThreadSanitizer takes minutes for the emulated kernels: two runs, each of every second test. */
function runsOf(sanitizers, { target, words }) {
  const isLong = sanitizers === 'thread' && target === 'compact-cuda-emulation-tests' && names.length === 0;
  const shards = isLong
    ? [
        ['--shard', '1/2'],
        ['--shard', '2/2'],
      ]
    : [[]];
  return shards.map((shard) => ({ sanitizers, target, words: [...words, ...shard] }));
}

async function main() {
  const built = chosen.length > 0 ? chosen : ['address,undefined', 'thread'];
  for (const sanitizers of built) build(sanitizers);
  // The longest first: then no core waits long at the end.
  const runs = built
    .toReversed()
    .flatMap((sanitizers) => suites.toReversed().flatMap((suite) => runsOf(sanitizers, suite)));
  const work = async () => {
    for (let next = runs.shift(); next !== undefined; next = runs.shift()) await run(next);
  };
  await Promise.all([work(), work()]);
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
