import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runChild } from './child.js';

const packageRoot = join(__dirname, '..', '..');
let folder: string;
/** The package without its native part. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-train-'));
  cpSync(join(packageRoot, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(packageRoot, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const attempt = `
  const error = await Engine.open({ device: 'cpu' }).catch((error) => error);
  report({ name: error.name, code: error.code, message: error.message });
`;

test('no addon file: the error says where it looked and what to do', async () => {
  const { stdout, exitCode } = await runChild(attempt, { root: join(folder, 'dist') });
  expect(exitCode).toBe(0);
  const { name, code, message } = JSON.parse(stdout) as Record<string, string>;
  expect([name, code]).toEqual(['CompactError', 'ERR_COMPACT_ADDON_LOAD']);
  expect(message).toContain(join(folder, 'build', 'Release'));
  expect(message).toContain(join(folder, 'prebuilds', `${process.platform}-${process.arch}`));
  expect(message).toContain('received none');
  expect(message).toMatch(/\n {2}1\. .*npm run build:native.*\n {2}2\. .*install again.*\n {2}3\. /);
});

test('an addon file that is none', async () => {
  const release = join(folder, 'build', 'Release');
  mkdirSync(release, { recursive: true });
  writeFileSync(join(release, 'compact_train.node'), 'not a library');
  const { stdout } = await runChild(attempt, { root: join(folder, 'dist') });
  const { code, message } = JSON.parse(stdout) as Record<string, string>;
  expect(code).toBe('ERR_COMPACT_ADDON_LOAD');
  expect(message).toContain(`${join(release, 'compact_train.node')}, which failed: `);
  expect(message).toContain('1. ');
});

test('no variable of the environment names the addon, or another place for it', async () => {
  const elsewhere = join(folder, 'elsewhere', 'build', 'Release');
  mkdirSync(elsewhere, { recursive: true });
  cpSync(join(packageRoot, 'build', 'Release', 'compact_train.node'), join(elsewhere, 'compact_train.node'));
  rmSync(join(folder, 'build'), { recursive: true, force: true });
  const env = {
    COMPACT_TRAIN_PREBUILD: join(folder, 'elsewhere'),
    npm_config_arch: 'none',
    npm_config_platform: 'none',
  };
  const { stdout } = await runChild(attempt, { root: join(folder, 'dist'), env });
  const { code, message } = JSON.parse(stdout) as Record<string, string>;
  expect(code).toBe('ERR_COMPACT_ADDON_LOAD');
  expect(message).toContain(join(folder, 'prebuilds', `${process.platform}-${process.arch}`));
  expect(message).toContain('received none');
});

const otherLibrary = existsSync('/etc/alpine-release') ? 'glibc' : 'musl';
test('a prebuilt file of the C library that is not here is passed over', async () => {
  const prebuilt = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilt, { recursive: true });
  writeFileSync(join(prebuilt, `compact-train.${otherLibrary}.node`), 'not for us');
  const opening = `report({ device: (await Engine.open({ device: 'cpu' })).device.kind });`;
  const refused = await runChild(attempt, { root: join(folder, 'dist') });
  expect(JSON.parse(refused.stdout)).toMatchObject({ message: expect.stringContaining('received none') });
  const built = join(packageRoot, 'build', 'Release', 'compact_train.node');
  cpSync(built, join(prebuilt, 'compact-train.node'));
  const { stdout, stderr } = await runChild(opening, { root: join(folder, 'dist') });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ device: 'cpu' });
});

test('addons switched off: the flag is named', async () => {
  const { stdout } = await runChild(attempt, { flags: ['--no-addons'] });
  const { code, message } = JSON.parse(stdout) as Record<string, string>;
  expect(code).toBe('ERR_COMPACT_ADDON_LOAD');
  expect(message).toMatch(/\n {2}1\. .*--no-addons.*\n {2}2\. .*--permission/);
});
