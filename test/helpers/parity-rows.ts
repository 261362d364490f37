/** What the tests of parity measured, one JSON object a line, for docs/parity.md (`npm run docs:parity`); else it is told nowhere. */
import { appendFileSync } from 'node:fs';
import type { ModelParity } from '../../bench/parity/model-parity.js';

export function tellParity(parity: ModelParity): void {
  const file = process.env.COMPACT_PARITY_FILE;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(parity)}\n`);
}
