/** docs/reference/openapi.json is what the server's schemas say, and describes every route of the API. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');
// A script that is no TypeScript.
const { openApi } = require(join(root, 'scripts', 'docs-openapi.cjs')) as {
  openApi(): Promise<{ readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>> }>;
};

test('the description is up to date: npm run docs:reference writes it', async () => {
  const found = await openApi();
  const written = JSON.parse(
    readFileSync(join(root, 'docs', 'reference', 'openapi.json'), 'utf8'),
  ) as unknown;
  expect(written).toEqual(JSON.parse(JSON.stringify(found)));
  const page = readFileSync(join(root, 'docs', 'server.md'), 'utf8');
  const unnamed = Object.keys(found.paths).filter(
    (path) =>
      !page.includes(path) && !/\/(cancel|pause|resume|checkpoints)$|^\/v1\/files|keys\/\{id\}$/.test(path),
  );
  expect(unnamed).toEqual([]);
});
