import { expect, test } from '@jest/globals';
import { optionalPackage } from '../../lib/jobs/optional-package.js';

const load = (name: string, path: string) => (): unknown =>
  optionalPackage(name, 'a database', () => require(path) as unknown);

test('a package that is not installed is named, with the command that installs it', () => {
  expect(load('no-such-package', 'no-such-package')).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_PACKAGE_MISSING',
      what: 'a database needs the package no-such-package',
      remedy: 'npm install no-such-package',
    }),
  );
});

test('one that is there is loaded, and what is wrong with it is not taken for its absence', () => {
  expect(load('pg', 'pg')()).toHaveProperty('Pool');
  expect(load('pg', 'no-such-package')).toThrow(expect.objectContaining({ code: 'MODULE_NOT_FOUND' }));
});
