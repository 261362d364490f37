/**
 * Where the linker merges equal inline functions it keeps one copy. Were that copy compiled for a newer instruction
 * set, older CPUs would die of it. So object files of one instruction set may share with others only what the generic
 * objects, which come first on the link line, define too.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const objects = join(__dirname, '..', '..', 'build', 'cmake', 'Release', 'CMakeFiles');
const generic = ['compact_core', 'compact_isa_scalar'];

function sharedSymbols(target: string): string[] {
  const folder = join(objects, `${target}.dir`);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.o'),
  );
  const symbols = execFileSync('nm', ['--defined-only', ...files.map((name) => join(folder, name))], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return symbols.split('\n').flatMap((line) => /^\S+ [VWu] (\S+)$/.exec(line)?.slice(1) ?? []);
}

test('no inline function of a newer instruction set can replace the generic one', () => {
  if (!existsSync(objects)) {
    console.log('skipped: the addon of this checkout was not built here (npm run build:native)');
    return;
  }
  const known = new Set(generic.flatMap(sharedSymbols));
  const targets = readdirSync(objects).flatMap(
    (name) => /^(compact_(?:isa|kernels)_\w+)\.dir$/.exec(name)?.slice(1) ?? [],
  );
  expect(targets).toContain('compact_isa_scalar');
  for (const target of targets.filter((name) => !generic.includes(name))) {
    // Mangled names of functions in the namespace of the instruction set: nobody else has them.
    const own = /7compact(4avx2|6avx512)/;
    const foreign = sharedSymbols(target).filter((symbol) => !own.test(symbol) && !known.has(symbol));
    expect([target, foreign]).toEqual([target, []]);
  }
});
