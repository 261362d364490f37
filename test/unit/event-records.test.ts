/** Records of event files, byte for byte those that TensorBoard writes, and the checksum on its published vector. */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c, scalarsRecord, sessionStartRecord, versionRecord } from '../../lib/formats/event-records.js';

interface Fixture {
  readonly wallTime: number;
  readonly version: string;
  readonly start: { readonly step: number; readonly record: string };
  readonly scalars: {
    readonly step: number;
    readonly values: Readonly<Record<string, number>>;
    readonly record: string;
  };
}

const { wallTime, version, start, scalars } = JSON.parse(
  readFileSync(join(__dirname, '../fixtures/event-records.json'), 'utf8'),
) as Fixture;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('records are those of TensorBoard', () => {
  expect(hex(versionRecord(wallTime))).toBe(version);
  expect(hex(sessionStartRecord(wallTime, start.step))).toBe(start.record);
  const values = new Map(Object.entries(scalars.values));
  expect(hex(scalarsRecord(wallTime, scalars.step, values))).toBe(scalars.record);
});

test('the checksum of 123456789 (RFC 3720, B.4)', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});
