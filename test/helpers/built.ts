/** Processes and threads run JavaScript files: those of the built package. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export const distribution = join(__dirname, '..', '..', 'dist');

/** A module of the built package by its path below `lib`, e.g. 'jobs/index'. */
export function built(module: string): unknown {
  const file = join(distribution, `${module}.js`);
  if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build`);
  return createRequire(__filename)(file);
}
