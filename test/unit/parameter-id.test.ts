import { expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { Graph, parameterId } from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';

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

test('initial weights come from it, the same in a model of more layers', () => {
  const idsOf = (numHiddenLayers: number): Record<string, number> => {
    const model = llama('llama-demo', { numHiddenLayers });
    const sizes = { batchSize: 1, sequenceLength: 4, dtype: 'f32' } as const;
    const plan = compile({ ...sizes, model, method: dense(), target: planTarget, entries: ['initialize'] });
    const filled = plan.entries.initialize!.instructions.filter(({ op }) => op === 'randomNormal');
    return Object.fromEntries(
      filled.map(({ outputs, attributes }) => [
        plan.values[outputs[0]!]!.name,
        attributes['tensorId'] as number,
      ]),
    );
  };
  const [one, two] = [idsOf(1), idsOf(2)];
  expect(Object.keys(two)).toHaveLength(2 * 7 + 2);
  expect(two).toMatchObject(one);
  for (const [name, id] of Object.entries(two)) expect(id).toBe(parameterId(name));
});
