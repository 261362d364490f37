import { expect, test } from '@jest/globals';
import { Graph, parameterId } from '../../lib/graph/index.js';

const initializer = { type: 'constant', value: 0 } as const;

/** The published folding to 31 bits: what is above is xored onto what stays. */
const folded = (hash: number): number => (hash % 2 ** 31) ^ Math.floor(hash / 2 ** 31);

// FNV-1a, 32 bits: vectors that its authors publish with it.
test.each<[string, number]>([
  ['', 0x811c9dc5],
  ['a', 0xe40c292c],
  ['b', 0xe70c2de5],
  ['fo', 0x6222e842],
  ['foo', 0xa9f37ed7],
  ['foob', 0x3f5076ef],
  ['fooba', 0x39aaa18a],
  ['foobar', 0xbf9cf968],
])('the id of %p is its FNV-1a, folded', (name, hash) => {
  expect(parameterId(name)).toBe(folded(hash));
});

test('letters beyond ASCII count as UTF-8', () => {
  // The bytes of the letter one by one, as the definition says.
  let hash = 0x811c9dc5n;
  for (const byte of [0xc3n, 0xa9n]) hash = ((hash ^ byte) * 0x01000193n) % 2n ** 32n;
  expect(parameterId('\u00e9')).toBe(folded(Number(hash)));
});

test('a graph refuses two names with one id, and names both', () => {
  // A published pair of words with the same FNV-1a of 32 bits.
  expect(parameterId('costarring')).toBe(parameterId('liquid'));
  const graph = new Graph();
  const add = (name: string) => graph.parameter(name, [2], 'f32', { role: 'norm', initializer });
  const first = add('costarring');
  expect(add('costarring')).toBe(first);
  expect(() => add('liquid')).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_ARGUMENT',
      op: 'liquid',
      message: expect.stringContaining('costarring'),
    }),
  );
  expect(first.parameter!.tensorId).toBe(parameterId('costarring'));
});
