import { describe, expect, test } from '@jest/globals';
import { learningRateSchedule } from '../../lib/train/index.js';
import { bytesOf, checkOptions, oneOf, optional, wholeNumber } from '../../lib/options.js';

const table = { batchSize: wholeNumber(1, 64), dtype: optional(oneOf(['f32', 'bf16']), 'f32') };
const checking = (given: unknown) => () => checkOptions(given, table, { what: 'a test' });
const refusal = (code: string, fields: object) => expect.objectContaining({ code, ...fields });

describe('options', () => {
  test('are given with their defaults; what is undefined counts as not given', () => {
    expect(checking({ batchSize: 8 })()).toEqual({ batchSize: 8, dtype: 'f32' });
    expect(checking({ batchSize: 8, dtype: undefined })()).toEqual({ batchSize: 8, dtype: 'f32' });
  });

  test.each<[string, unknown, string, object]>([
    [
      'a misspelt key',
      { batchsize: 3 },
      'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
      { remedy: "Did you mean 'batchSize'?" },
    ],
    [
      'a key of every object',
      { batchSize: 1, toString: 1 },
      'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
      { op: 'toString' },
    ],
    [
      'a prototype as a key',
      JSON.parse('{"__proto__": 1}'),
      'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
      { op: '__proto__' },
    ],
    ['a symbol as a key', { [Symbol('s')]: 1 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', { op: 'Symbol(s)' }],
    [
      'a number in quotes',
      { batchSize: '8' },
      'ERR_COMPACT_CONFIG_VALUE',
      { remedy: 'Write the number without quotes: 8' },
    ],
    [
      'a missing option',
      {},
      'ERR_COMPACT_CONFIG_VALUE',
      { what: 'batchSize is missing', received: 'nothing' },
    ],
    ['null', { batchSize: null }, 'ERR_COMPACT_CONFIG_VALUE', { received: 'null' }],
    ['NaN', { batchSize: NaN }, 'ERR_COMPACT_CONFIG_VALUE', { expected: 'a whole number from 1 to 64' }],
    ['too large a number', { batchSize: 65 }, 'ERR_COMPACT_CONFIG_VALUE', { received: '65' }],
    [
      'a word nearly right',
      { batchSize: 1, dtype: 'bf61' },
      'ERR_COMPACT_CONFIG_VALUE',
      { remedy: "Did you mean 'bf16'?" },
    ],
    ['a list', [1], 'ERR_COMPACT_TYPE', {}],
    ['a map, whose entries are no keys', new Map([['batchSize', 8]]), 'ERR_COMPACT_TYPE', {}],
    ['options by inheritance', Object.create({ batchSize: 8 }), 'ERR_COMPACT_TYPE', {}],
  ])('refuse %s', (_, given, code, fields) => expect(checking(given)).toThrow(refusal(code, fields)));

  test('are read once', () => {
    let reads = 0;
    const counting = {
      get batchSize(): number {
        return ++reads;
      },
    };
    expect(checking(counting)()).toEqual({ batchSize: 1, dtype: 'f32' });
  });

  test('say which two exclude each other', () => {
    const both = { type: 'linear', learningRate: 1, maxSteps: 9, warmupSteps: 1, warmupRatio: 0.5 } as const;
    expect(() => learningRateSchedule(both)).toThrow(
      refusal('ERR_COMPACT_CONFIG_VALUE', { details: { excluded: ['warmupSteps', 'warmupRatio'] } }),
    );
  });
});

test.each([
  ['24GiB', 24 * 2 ** 30],
  ['1.5 GB', 1.5e9],
  ['8g', 8 * 2 ** 30],
  ['100B', 100],
  ['24', undefined],
  ['GiB', undefined],
  ['-1GiB', undefined],
  ['1e9GiB', undefined],
  ['99999999TiB', undefined],
])('bytes of %s', (size, bytes) => expect(bytesOf(size)).toBe(bytes));
