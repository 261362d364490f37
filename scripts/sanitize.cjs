// Builds and runs the C++ tests under AddressSanitizer + UndefinedBehaviorSanitizer, then ThreadSanitizer.
//
//   node scripts/sanitize.cjs [address,undefined | thread] [-- test name ...]
'use strict';

const { execFileSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const args = process.argv.slice(2);
const separator = args.includes('--') ? args.indexOf('--') : args.length;
const chosen = args.slice(0, separator);
const tests = args.slice(separator + 1);

const env = {
  ...process.env,
  // Absurd sizes must come back as nullptr, as they do without a sanitizer.
  ASAN_OPTIONS: 'allocator_may_return_null=1:detect_leaks=1',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1',
};

for (const sanitizers of chosen.length > 0 ? chosen : ['address,undefined', 'thread']) {
  const build = path.join(root, 'build', `sanitize-${sanitizers.replace(',', '-')}`);
  const run = (command, words) => execFileSync(command, words, { cwd: root, env, stdio: 'inherit' });
  console.log(`== ${sanitizers}`);
  try {
    run('cmake', ['-S', root, '-B', build, '-DCOMPACT_ADDON=OFF', `-DCOMPACT_SANITIZE=${sanitizers}`]);
    run('cmake', [
      ...['--build', build, '--target', 'compact-native-tests'],
      ...['--parallel', String(os.availableParallelism())],
    ]);
    run(path.join(build, 'compact-native-tests'), tests);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
