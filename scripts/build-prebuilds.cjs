// Builds the addon of this platform into prebuilds/, the only place that a package takes it from, and notes beside it of
// which version it is: folders of other platforms come from other machines.
//
//   node scripts/build-prebuilds.cjs [--check]     --check: builds nothing, fails unless all there are of this version
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const prebuilds = path.join(root, 'prebuilds');
const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const noteIn = (platform) => path.join(prebuilds, platform, 'version.txt');

/** What is wrong with prebuilds/, one line each. */
function problems() {
  const remedy = 'run npm run build:prebuilds on a machine of that platform, or remove the folder';
  const platforms = fs.existsSync(prebuilds) ? fs.readdirSync(prebuilds) : [];
  if (platforms.length === 0)
    return ['prebuilds/ is empty, and a package without an addon cannot run: run npm run build:prebuilds'];
  return platforms.flatMap((platform) => {
    if (!fs.readdirSync(path.join(prebuilds, platform)).some((name) => name.endsWith('.node')))
      return [`prebuilds/${platform} holds no addon: ${remedy}`];
    const found = fs.existsSync(noteIn(platform))
      ? fs.readFileSync(noteIn(platform), 'utf8').trim()
      : 'unknown';
    return found === version
      ? []
      : [`prebuilds/${platform} is of version ${found}, this package of ${version}: ${remedy}`];
  });
}

if (process.argv.includes('--check')) {
  for (const problem of problems()) console.error(problem);
  process.exitCode = problems().length === 0 ? 0 : 1;
} else {
  const builder = path.join(__dirname, 'build-native.cjs');
  const words = ['--napi', '--strip', '--tag-libc', '--node-gyp', builder];
  const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  run(require.resolve('prebuildify/bin.js'), ...words);
  // prebuildify moves the file; a checkout keeps its own, with the modules beside it. It is linked once more.
  run(builder, '--target', 'compact_train');
  fs.writeFileSync(noteIn(`${process.platform}-${process.arch}`), `${version}\n`);
}
