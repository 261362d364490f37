/** What is written from the definitions of ops, and where their kernels stand. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import * as graph from '../../lib/graph/index.js';

interface Generator {
  generatedFiles(exported: typeof graph): ReadonlyMap<string, string>;
}

const root = join(__dirname, '..', '..');
const { generatedFiles } = require('../../scripts/generate-ops.cjs') as Generator;
const files = [...generatedFiles(graph)];

test.each(files)('%s is what the definitions of ops say; else: npm run generate:ops', (file, text) => {
  expect(readFileSync(join(root, file), 'utf8')).toBe(text);
});

test.each([
  ['native/cpu', 'k'],
  ['cuda', 'kCuda'],
])('kernels of %s stand in the folders of their families', (backend, prefix) => {
  const kernelsIn = (family: string): string[] =>
    readdirSync(join(root, backend, family)).flatMap((file) =>
      [
        ...readFileSync(join(root, backend, family, file), 'utf8').matchAll(
          new RegExp(`^(?:extern )?const CpOp ${prefix}(\\w+)Op = `, 'gm'),
        ),
      ].map(([, name]) => name!),
    );
  const named = (family: string) =>
    [...graph.opDefinitions.values()]
      .filter((definition) => definition.family === family)
      .map(({ name }) => name[0]!.toUpperCase() + name.slice(1));
  for (const family of graph.opFamilies) expect(kernelsIn(family).sort()).toEqual(named(family).sort());
});
