/** A package without an addon, or with one of another version, is not packed. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const script = join('scripts', 'build-prebuilds.cjs');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-prebuilds-'));
  mkdirSync(join(folder, 'scripts'));
  cpSync(join(__dirname, '..', '..', script), join(folder, script));
  writeFileSync(join(folder, 'package.json'), '{ "version": "1.2.3" }');
});
afterEach(() => rmSync(folder, { recursive: true }));

const check = (): { status: number | null; stderr: string } =>
  spawnSync(process.execPath, [join(folder, script), '--check'], { encoding: 'utf8' });

function addPrebuild(platform: string, version: string | undefined, addon = 'compact-train.node'): void {
  const place = join(folder, 'prebuilds', platform);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, addon), '');
  if (version !== undefined) writeFileSync(join(place, 'version.txt'), `${version}\n`);
}

test('prebuilds of this version pass', () => {
  addPrebuild('linux-x64', '1.2.3');
  addPrebuild('darwin-arm64', '1.2.3');
  expect(check()).toMatchObject({ status: 0, stderr: '' });
});

test.each<[string, () => void, RegExp]>([
  ['none', () => {}, /prebuilds\/ is empty.* npm run build:prebuilds/],
  ['another version', () => addPrebuild('linux-x64', '1.2.2'), /linux-x64 is of version 1\.2\.2, .* 1\.2\.3/],
  ['an unknown version', () => addPrebuild('linux-x64', undefined), /linux-x64 is of version unknown/],
  ['a folder without addon', () => addPrebuild('linux-x64', '1.2.3', 'readme'), /linux-x64 holds no addon/],
])('refused: %s', (_, prepare, message) => {
  prepare();
  expect(check()).toMatchObject({ status: 1, stderr: expect.stringMatching(message) });
});
