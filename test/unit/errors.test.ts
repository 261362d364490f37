import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compactError, compactErrorCodes, isCompactError, nearestName } from '../../lib/errors.js';

const root = join(__dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');

describe('isCompactError', () => {
  test('knows the errors of this package, by code', () => {
    const error = compactError('ERR_COMPACT_ARGUMENT', 'no');
    expect([isCompactError(error), isCompactError(error, 'ERR_COMPACT_ARGUMENT')]).toEqual([true, true]);
    expect(isCompactError(error, 'ERR_COMPACT_TYPE')).toBe(false);
  });

  test('takes nothing else for one, whatever it is', () => {
    const unreadable = {
      get code(): string {
        throw new Error('unreadable');
      },
    };
    const others = [
      { code: 'toString' },
      { code: '__proto__' },
      { code: 1 },
      null,
      'ERR_COMPACT_TYPE',
      unreadable,
    ];
    expect(others.map((thrown) => isCompactError(thrown))).toEqual(others.map(() => false));
  });
});

describe('the nearest name', () => {
  const known = ['auto', 'cpu', 'cuda', 'batchSize'];
  test.each([
    ['cup', 'cpu'], // two letters swapped are one mistake
    ['batchsize', 'batchSize'],
    ['mps', undefined], // two of three letters differ
    ['b'.repeat(1e6), undefined],
  ])('of %.20s', (name, nearest) => expect(nearestName(name, known)).toBe(nearest));
});

describe('docs/errors.md', () => {
  test('has every code, and no other', () => {
    const table = page.slice(page.indexOf('| code |'), page.indexOf('## '));
    const documented = [...table.matchAll(/`(ERR_COMPACT_\w+)`/g)].map(([, code]) => code);
    expect(new Set(documented)).toEqual(new Set(compactErrorCodes));
    expect(documented).toHaveLength(compactErrorCodes.length);
  });

  test('has an example that compiles', () => {
    const [, example] = /```ts\n([\s\S]*?)```/.exec(page)!;
    const folder = mkdtempSync(join(tmpdir(), 'compact-docs-'));
    try {
      const at = (file: string): string => join(folder, file);
      writeFileSync(at('example.mts'), example!);
      // With the options of this repository, as the types come from its sources here.
      const compilerOptions = {
        noEmit: true,
        rootDir: parse(root).root,
        typeRoots: [join(root, 'node_modules', '@types')],
        paths: { 'compact-train': [join(root, 'lib', 'index.ts')] },
      };
      const config = {
        extends: join(root, 'tsconfig.json'),
        compilerOptions,
        include: [],
        files: ['example.mts'],
      };
      writeFileSync(at('tsconfig.json'), JSON.stringify(config));
      writeFileSync(at('package.json'), '{}');
      const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
      const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
      expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
