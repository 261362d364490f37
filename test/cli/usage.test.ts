import { describe, expect, test } from '@jest/globals';
import type { CudaReport } from '../../lib/runtime/index.js';
import { runCommand } from './run-command.js';

// Each command is a process of its own, and test machines may be busy.
describe('help', () => {
  test('teaches commands, examples and exit codes', async () => {
    const { code, stdout, stderr } = await runCommand(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const word of [
      'bench',
      'train',
      'evaluate',
      'sample',
      'plan',
      'ls',
      'inspect',
      'methods',
      'Examples:',
      'Exit codes:',
      '130',
    ])
      expect(stdout).toContain(word);
  });

  test.each([
    [['train']],
    [['sample']],
    [['plan']],
    [['evaluate']],
    [['finetune']],
    [['ls']],
    [['inspect']],
    [['methods']],
    [['data']],
    [['data', 'preview']],
    [['bench', 'memory']],
    [['bench', 'step-time']],
    [['bench', 'quality']],
  ])('of %s shows an example and the global options', async (command) => {
    const { code, stdout } = await runCommand([...command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}compact-train /);
    expect(stdout).toContain('--json');
  });

  test('appears, with the code of wrong usage, where no command is given', async () => {
    const { code, stderr } = await runCommand([]);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: compact-train');
  });

  test('has a version beside it', async () => {
    const { code, stdout } = await runCommand(['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

const plan = ['plan', '--model', 'llama-60m', '--batch-size', '4'];

describe('wrong usage ends with code 2 and the nearest known name', () => {
  test.each([
    ['command', ['trian'], 'train'],
    ['flag', ['plan', '--modle', 'llama-60m'], '--model'],
    ['benchmark', ['bench', 'step-tim'], 'step-time'],
    ['preset', ['plan', '--model', 'llama-60n'], 'llama-60m'],
    ['recipe', ['train', 'quickstrat'], 'quickstart'],
    ['recipe key', ['train', 'quickstart', '--set', 'maxStep=3'], 'maxSteps'],
    ['bytes without a unit', ['plan', '--model', 'llama-60m', '--memory-limit', '24'], '24GiB'],
    ['method option', ['train', 'quickstart', '--set', 'method.rankRato=0.5'], 'rankRatio'],
  ])('%s', async (_, args, nearest) => {
    const { code, stdout, stderr } = await runCommand(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toMatch(new RegExp(`Did you mean '?${nearest}'?\\?`));
  });

  test.each([
    ['batch of zero', [...plan, '-b', '0']],
    ['ratio over one', [...plan, '--method', 'compact', '--rank-ratio', '2']],
    ['both ranks', [...plan, '--method', 'compact', '--rank-ratio', '0.5', '--rank', '8']],
    ['rank over the width', [...plan, '--method', 'compact', '--rank', '4096']],
    ['unknown choice', [...plan, '--method', 'dense', '--recompute', 'some']],
    ['missing option', ['plan']],
    ['missing argument', ['train']],
    ['argument too many', ['inspect', 'this']],
    ['bytes that are none', [...plan, '--memory-limit', 'lots']],
    ['device that is none', ['train', 'quickstart', '--device', 'gpu9']],
    ['checkpoint that is none', ['sample', 'no-such-folder']],
    ['data that is none', ['train', 'quickstart', '--data', 'no-such-file.txt']],
    ['assignment that is none', ['train', 'quickstart', '--set', 'maxSteps']],
  ])('%s', async (_, args) => {
    const { code, stdout, stderr } = await runCommand(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: .*\(ERR_COMPACT_\w+\)/);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  test('is an object on standard output with --json', async () => {
    for (const args of [['trian'], ['plan', '--modle', 'x'], ['plan', '--model', 'llama-60n']]) {
      const { code, stdout, stderr } = await runCommand([...args, '--json']);
      expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({
        type: 'error',
        code: expect.stringMatching(/^ERR_COMPACT_/),
        remedy: expect.any(String),
      });
    }
  });
});

describe('inspect', () => {
  test('reports the environment as JSON', async () => {
    const { code, stdout } = await runCommand(['inspect', '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as {
      cpu: { chosen: string };
      projection: { sha256: Record<string, string> };
      cuda: CudaReport;
    };
    expect(report).toMatchObject({
      version: expect.any(String),
      node: process.versions.node,
      cpu: { features: expect.any(Array), chosen: expect.any(String), threads: expect.any(Number) },
      devices: expect.any(Array),
      ops: expect.arrayContaining(['matmul', 'project']),
      cuda: { architectures: expect.any(Array), devices: expect.any(Array) },
    });
    const { module, driver, runtime, devices, problem } = report.cuda;
    expect(
      [module, driver, runtime, problem].every((text) => text === null || typeof text === 'string'),
    ).toBe(true);
    expect(devices.some((device) => device.problem === null)).toBe(problem === null);
    const hashes = new Set(Object.values(report.projection.sha256));
    expect(Object.keys(report.projection.sha256)).toContain(report.cpu.chosen);
    expect([...hashes]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  });

  test('reads well for people', async () => {
    const { stdout } = await runCommand(['inspect']);
    expect(stdout).toMatch(/^CPU +\S/m);
    expect(stdout).toMatch(/^(CUDA devices +none: \S|cuda:0 +\S)/m);
    expect(stdout).toMatch(/^operations +\d+: /m);
  });
});
