import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { runChild } from './child.js';

const packageRoot = join(__dirname, '..', '..');
let folder: string;
jest.setTimeout(60_000);

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

test('addons switched off: the flag is named', async () => {
  const { stdout } = await runChild(attempt, { flags: ['--no-addons'] });
  const { code, message } = JSON.parse(stdout) as Record<string, string>;
  expect(code).toBe('ERR_COMPACT_ADDON_LOAD');
  expect(message).toMatch(/\n {2}1\. .*--no-addons.*\n {2}2\. .*--permission/);
});
