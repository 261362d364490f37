import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

interface Generator {
  readonly page: string;
  recipePage(load: (name: string) => unknown): {
    readonly text: string;
    readonly complaints: readonly string[];
  };
}

const root = join(__dirname, '..', '..');
const { page, recipePage } = require('../../scripts/docs-reference.cjs') as Generator;
const generated = recipePage((name) => require(`../../lib/${name}.ts`));

test('the reference of recipes is what the tables say (npm run docs:reference writes it anew)', () => {
  expect(readFileSync(join(root, page), 'utf8')).toBe(generated.text);
});

test('comments name the defaults that the tables have', () => expect(generated.complaints).toEqual([]));
