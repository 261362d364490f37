/** The errors that docs/server.md tells of are those that there are. */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiErrors, type ApiErrorCode } from '../../lib/server/index.js';

const document = readFileSync(join(__dirname, '..', '..', 'docs', 'server.md'), 'utf8');
const rows = [...document.matchAll(/^\| (\d{3}(?:, \d{3})*) \| (.*) \|$/gm)].map(([, statuses, cell]) => ({
  statuses: statuses!.split(', ').map(Number),
  codes: [...cell!.matchAll(/`(\w+)`/g)].map(([, code]) => code as ApiErrorCode),
}));

test('every code has its place, and no other is named', () => {
  expect(rows.flatMap(({ codes }) => codes).toSorted()).toEqual(Object.keys(apiErrors).toSorted());
});

test.each(rows)('$codes have the statuses $statuses', ({ statuses, codes }) => {
  expect([...new Set(codes.map((code) => apiErrors[code]?.status))]).toEqual(statuses);
});
