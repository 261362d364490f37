/** Where the CUDA module is looked for, and what is said of one that cannot be used. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runChild } from './child.js';

const packageRoot = join(__dirname, '..', '..');
const isLinux = process.platform === 'linux';
if (!isLinux) console.log('skipped: modules are for Linux only');
const describeLinux = isLinux ? describe : describe.skip;

let folder: string;
let release: string;
let packaged: string;
let prebuilt: string;
const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  version: string;
};

/** The package with its addon, without modules. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-train-'));
  release = join(folder, 'build', 'Release');
  packaged = join(folder, 'node_modules', 'compact-train-cuda-linux-x64');
  prebuilt = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(release, { recursive: true });
  mkdirSync(join(folder, 'node_modules'));
  cpSync(join(packageRoot, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(packageRoot, 'package.json'), join(folder, 'package.json'));
  for (const name of readdirSync(join(packageRoot, 'node_modules')))
    symlinkSync(join(packageRoot, 'node_modules', name), join(folder, 'node_modules', name));
});

beforeEach(() => {
  const addon = 'compact_train.node';
  cpSync(join(packageRoot, 'build', 'Release', addon), join(release, addon));
});
afterEach(() => {
  for (const name of readdirSync(release)) if (name.endsWith('.so')) rmSync(join(release, name));
  for (const made of [packaged, prebuilt]) rmSync(made, { recursive: true, force: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Builds the stub (stub-module.c) as a module. */
function buildStub(path: string, ...definitions: readonly string[]): void {
  const source = join(__dirname, 'stub-module.c');
  const flags = ['-shared', '-fPIC', `-I${packageRoot}`, ...definitions.map((name) => `-D${name}`)];
  execFileSync(process.env.CC ?? 'cc', [...flags, '-o', path, source]);
}

/** Makes the optional package with a stub as its module; gives the file and its hash. */
function installPackage(ofVersion = version): { module: string; sha256: string } {
  mkdirSync(packaged, { recursive: true });
  const described = { name: 'compact-train-cuda-linux-x64', version: ofVersion };
  writeFileSync(join(packaged, 'package.json'), JSON.stringify(described));
  const module = join(packaged, 'compact_train_cuda.so');
  buildStub(module);
  return { module, sha256: createHash('sha256').update(readFileSync(module)).digest('hex') };
}

/** What the build of the optional package notes in this one. */
function noteHash(sha256: string): void {
  mkdirSync(prebuilt, { recursive: true });
  writeFileSync(join(prebuilt, 'compact_train_cuda.so.sha256'), `${sha256}  compact_train_cuda.so\n`);
}

async function inPackage(body: string): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await runChild(body, { root: join(folder, 'dist') });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Record<string, unknown>;
}

const describeCuda = `
  const { cudaReport, deviceTarget } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
  const failure = (call) => { try { call(); } catch (error) { return error; } };
  const opening = await Engine.open({ device: 'cuda' }).catch((error) => error);
  const planning = failure(() => deviceTarget('cuda')) ?? {};
  const auto = await Engine.open({ threads: 1 }).then((engine) => engine.device, (error) => ({ name: error.device }));
  const said = ({ code, message, details }) => ({ code, message, reason: details?.reason });
  report({ report: cudaReport(), opening: said(opening), planning: said(planning), auto });
`;

describeLinux('a module that cannot be used', () => {
  const cases: [string, string, (() => void) | undefined, string[]][] = [
    ['none', 'module-absent', undefined, ['compact-train-cuda-linux-x64', 'npm run build:native']],
    [
      'a file that is none',
      'module-broken',
      () => writeFileSync(join(release, 'compact_train_cuda.so'), 'not a library'),
      ['compact_train_cuda.so', 'Install compact-train-cuda-linux-x64 again'],
    ],
    [
      'another version',
      'module-version',
      () => buildStub(join(release, 'compact_train_cuda.so'), 'STUB_VERSION=77'),
      ['interface version 77', 'needs version', 'of the same version'],
    ],
    [
      'a module of another device',
      'module-broken',
      () => buildStub(join(release, 'compact_train_cuda.so'), 'STUB_NAME="toaster"'),
      ['is a module of toaster'],
    ],
    [
      'a library without the entry',
      'module-broken',
      () => buildStub(join(release, 'compact_train_cuda.so'), 'compact_cuda_backend=another_entry'),
      ['compact_cuda_backend'],
    ],
    [
      'a package of another version',
      'module-version',
      () => noteHash(installPackage('0.0.1').sha256),
      ['is of version 0.0.1', `is of version ${version}`, 'of the same version'],
    ],
    [
      'a package whose file is another',
      'module-untrusted',
      () => {
        const { module, sha256 } = installPackage();
        noteHash(sha256);
        writeFileSync(module, 'x', { flag: 'a' });
      },
      ['is not the file that was published with', 'install both again'],
    ],
    [
      'a package whose hash is not known',
      'module-untrusted',
      () => void installPackage(),
      ['was packed without its SHA-256'],
    ],
    [
      'a package whose file cannot be read',
      'module-broken',
      () => {
        const { module, sha256 } = installPackage();
        noteHash(sha256);
        rmSync(module);
        mkdirSync(module);
      },
      ['cannot be read'],
    ],
    [
      'a file beside a prebuilt addon',
      'module-absent',
      () => {
        mkdirSync(prebuilt, { recursive: true });
        buildStub(join(prebuilt, 'compact_train_cuda.so'));
        renameSync(join(release, 'compact_train.node'), join(prebuilt, 'compact-train.node'));
      },
      ['no package compact-train-cuda-linux-x64'],
    ],
  ];
  test.each(cases)('%s: %s', async (_what, reason, make, words) => {
    make?.();
    const { report, opening, planning, auto } = await inPackage(describeCuda);
    expect(report).toMatchObject({
      module: null,
      architectures: [],
      driver: null,
      runtime: null,
      devices: [],
      reason,
    });
    for (const refused of [opening, planning]) {
      expect(refused).toMatchObject({ code: 'ERR_COMPACT_DEVICE_UNAVAILABLE', reason });
      for (const word of words) expect((refused as Error).message).toContain(word);
    }
    const { problem } = report as { problem: string };
    expect(auto).toMatchObject({ kind: 'cpu', reason: `no CUDA device can be used: ${problem}` });
  });

  test('cuda-emulated is no device where its module is not', async () => {
    const { code } = await inPackage(`
      const error = await Engine.open({ device: 'cuda-emulated' }).catch((error) => error);
      report({ code: error.code });`);
    expect(code).toBe('ERR_COMPACT_ARGUMENT');
  });
});

describeLinux('a module', () => {
  const places: [string, () => string][] = [
    [
      'beside the addon of a checkout',
      () => {
        const module = join(release, 'compact_train_cuda.so');
        buildStub(module);
        return module;
      },
    ],
    [
      'in the optional package, of our version and with the hash that we know',
      () => {
        const { module, sha256 } = installPackage();
        noteHash(sha256);
        return module;
      },
    ],
  ];
  test.each(places)('%s', async (_where, place) => {
    const module = place();
    const { report } = await inPackage(`
      const { cudaReport } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
      report({ report: cudaReport({ probe: true }) });`);
    const device = { name: 'stub', totalBytes: 2 ** 34 };
    expect(report).toEqual({
      module,
      architectures: ['80', '90a', 'compute_80'],
      driver: '13.2',
      runtime: '13.0',
      devices: [
        {
          ...device,
          index: 0,
          computeCapability: '7.5',
          freeBytes: null,
          problem: 'compute capability 7.5',
          reason: 'architecture-unsupported',
        },
        {
          ...device,
          index: 1,
          computeCapability: '8.0',
          freeBytes: null,
          problem: 'no answer',
          reason: 'device-fault',
        },
        { ...device, index: 2, computeCapability: '9.0', freeBytes: 2 ** 33, problem: null, reason: null },
      ],
      problem: null,
      reason: null,
    });
  });

  test('auto takes the first device without a problem; numbers are taken at their word', async () => {
    buildStub(join(release, 'compact_train_cuda.so'));
    const found = await inPackage(`
      const { findDevice } = require(process.env.TEST_DISTRIBUTION + '/runtime/device.js');
      const reason = (word) => { try { return findDevice(word).name; } catch (error) { return error.details.reason; } };
      report({ auto: findDevice('auto'), words: ['cuda', 'cuda:0', 'cuda:2', 'cuda:3', 'cuda:9'].map(reason) });`);
    expect(found).toEqual({
      auto: { kind: 'cuda', name: 'cuda:1', index: 1, reason: 'stub, compute capability 8.0' },
      words: [
        'architecture-unsupported',
        'architecture-unsupported',
        'cuda:2',
        'no-such-device',
        'no-such-device',
      ],
    });
  });
});
