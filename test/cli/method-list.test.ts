import { describe, expect, test } from '@jest/globals';
import { methodList } from '../../lib/cli/method-list.js';
import { methodCatalogue } from '../../lib/methods/index.js';

describe('a list of methods', () => {
  test('has a word for each: method, optimizer, options of either as recipes write them', () => {
    const text = 'dense, compact+scale:rankRatio=0.5,lora:targetModules=[query,value]:r=4';
    expect(methodList(text)).toEqual([
      { word: 'dense', description: { name: 'dense' } },
      {
        word: 'compact+scale:rankRatio=0.5',
        description: { name: 'compact', optimizer: 'scale', rankRatio: 0.5 },
      },
      {
        word: 'lora:targetModules=[query,value]:r=4',
        description: { name: 'lora', targetModules: ['query', 'value'], r: 4 },
      },
    ]);
  });

  test("'all' is every method, dense first, then dense and compact with every other optimizer that they take", () => {
    const words = methodList('all').map(({ word }) => word);
    const { methods, optimizers } = methodCatalogue();
    expect(words[0]).toBe('dense');
    expect(words.slice(0, methods.length).toSorted()).toEqual(methods.map(({ name }) => name).toSorted());
    const mixes = words.slice(methods.length);
    const others = optimizers.map(({ name }) => name).filter((name) => name !== 'adamw');
    expect(mixes.filter((word) => word.startsWith('dense+'))).toEqual(others.map((name) => `dense+${name}`));
    const ofCompact = others.filter((name) => !name.startsWith('apollo')); // which need full gradients
    expect(mixes.filter((word) => word.startsWith('compact+'))).toEqual(
      ofCompact.map((name) => `compact+${name}`),
    );
  });

  test.each([
    ['dens', 'ERR_COMPACT_CONFIG_VALUE'],
    ['dense+moun', 'ERR_COMPACT_CONFIG_VALUE'],
    ['compact+apollo', 'ERR_COMPACT_CONFIG_VALUE'],
    ['dense:rankRatio=0.5', 'ERR_COMPACT_CONFIG_UNKNOWN_KEY'],
    ['dense,dense', 'ERR_COMPACT_ARGUMENT'],
    ['dense,', 'ERR_COMPACT_ARGUMENT'],
    ['dense+', 'ERR_COMPACT_ARGUMENT'],
    ['dense+lion+muon', 'ERR_COMPACT_ARGUMENT'],
    ['lora:r', 'ERR_COMPACT_ARGUMENT'],
    ['lora:r=[', 'ERR_COMPACT_ARGUMENT'],
  ])('%s is refused', (text, code) => {
    expect(() => methodList(text)).toThrow(expect.objectContaining({ code }));
  });
});
