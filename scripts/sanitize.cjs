// Builds and runs the C++ tests under AddressSanitizer + UndefinedBehaviorSanitizer, then ThreadSanitizer: those of the
// engine and the CPU, and on x86-64 Linux those of the emulated CUDA kernels, in sizes that a sanitizer can afford.
//
//   node scripts/sanitize.cjs [address,undefined | thread] [-- test name ...]      names of CUDA tests begin with cuda_
'use strict';

const { execFileSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');
const { inTwoShards, runSideBySide, suitesOf } = require('./native-suites.cjs');

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

function runsOf(sanitizers, suite) {
  const isLong =
    sanitizers === 'thread' && suite.target === 'compact-cuda-emulation-tests' && names.length === 0;
  const place = { folder: folderOf(sanitizers), title: `, ${sanitizers}` };
  return (isLong ? inTwoShards(suite) : [suite]).map((run) => ({ ...run, ...place }));
}

async function main() {
  const built = chosen.length > 0 ? chosen : ['address,undefined', 'thread'];
  for (const sanitizers of built) build(sanitizers);
  const runs = built
    .toReversed()
    .flatMap((sanitizers) => suites.toReversed().flatMap((suite) => runsOf(sanitizers, suite)));
  await runSideBySide(runs, env);
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
