/** Recordings of test/fixtures, read with a parser of their own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensor } from '../reference/tensor.js';
import { load } from './storage.js';

const pathOf = (file: string): string => join(__dirname, '../fixtures', file);

export const readJson = (file: string): unknown => JSON.parse(readFileSync(pathOf(file), 'utf8'));

interface Header {
  readonly dtype: 'F32' | 'BF16';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

export function readTensors(file: string): ReadonlyMap<string, Tensor> {
  const bytes = readFileSync(pathOf(file));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Header>;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const [type, width] = dtype === 'F32' ? (['f32', 4] as const) : (['bf16', 2] as const);
        return [
          name,
          tensor(
            shape,
            load(Uint8Array.from(bytes.subarray(start + begin, start + end)), 0, (end - begin) / width, type),
          ),
        ];
      },
    ),
  );
}
