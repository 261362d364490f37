import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The package's folder: this file is <package>/dist/cli or <package>/lib/cli. */
export const packageDirectory = join(__dirname, '..', '..');

export const packageVersion: string = (
  JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as { version: string }
).version;
