/** BAdam: whose turn it is, and what that holds. Its steps: test/train/badam.test.ts. */
import { describe, expect, test } from '@jest/globals';
import type { CompileOptions } from '../../lib/compile/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { badam, dense, type Method, methodCatalogue, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { trainedParts } from '../../lib/train/trained-parts.js';
import { planSmall, smallConfig } from '../helpers/plan-small.js';

const config: LlamaConfig = { ...smallConfig, numHiddenLayers: 5 };
/** Numbers of a layer, and of what is in none. */
const [ofLayer, ofOthers] = [4 * 32 * 32 + 3 * 32 * 88 + 2 * 32, 2 * 64 * 32 + 32];
const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
  planSmall(method, { model: llama(config), entries: ['train'], ...change });
const bytesOf = (method: Method, change?: Partial<CompileOptions>) =>
  memoryReport(planOf(method, change)).byKind;

describe('a plan', () => {
  test.each([
    [5, 1],
    [2, 3],
    [3, 2],
    [1, 5],
  ])('with %i blocks has states of the %i layers of the largest', (blocks, layers) => {
    expect(bytesOf(badam({ blocks })).optimizerState).toBe(4 * 2 * layers * ofLayer);
    const others = badam({ blocks, otherParameters: 'trained' });
    expect(bytesOf(others).optimizerState).toBe(4 * 2 * (layers * ofLayer + ofOthers));
  });

  test.each(['accumulateGradients', 'maxGradNorm'] as const)(
    'with %s waits with as many gradients',
    (option) => {
      const change = option === 'maxGradNorm' ? { [option]: 1 } : { [option]: true };
      const waiting = bytesOf(badam({ blocks: 5 }), change).gradient - bytesOf(badam({ blocks: 5 })).gradient;
      const squares = option === 'maxGradNorm' ? 9 + 2 : 0; // a norm, a scale, and a sum of each of nine parameters
      expect(waiting).toBeLessThanOrEqual(4 * (ofLayer + squares));
      expect(waiting).toBeGreaterThan(0);
      expect(bytesOf(dense(), change).gradient).toBeGreaterThan(5 * 4 * ofLayer);
    },
  );

  test('goes in backward down to the lowest layer that is trained', () => {
    const { entries } = planOf(badam({ blocks: 5 }));
    const layersOf = (name: string): string[] => [
      ...new Set(
        entries[name]!.instructions.filter(({ phase }) => phase === 'backward').flatMap(
          ({ layer }) => /^layers\.\d/.exec(layer) ?? [],
        ),
      ),
    ];
    expect(layersOf('step:block-4')).toEqual(['layers.4']);
    expect(layersOf('step:block-2')).toEqual(['layers.4', 'layers.3', 'layers.2']);
    expect(layersOf('step').at(-1)).toBe('layers.0');
  });

  test('clears each state once between turns, none of what is frozen', () => {
    const cleared = (method: Method): string[] => {
      const { entries, values } = planOf(method);
      return entries['switch']!.instructions.map(({ outputs: [output] }) => values[output!]!.name);
    };
    const all = cleared(badam({ blocks: 2 }));
    expect(new Set(all).size).toBe(all.length);
    expect(all).toHaveLength(2 * 3 * 9);
    const without = badam({ blocks: 2, frozen: ['model.layers.*.mlp.*'] });
    expect(cleared(without).some((name) => name.includes('mlp'))).toBe(false);
    expect(bytesOf(without).optimizerState).toBe(4 * 2 * 3 * (4 * 32 * 32 + 2 * 32));
  });

  test.each(methodCatalogue().methods.find(({ name }) => name === 'badam')!.composesWith)(
    'with %s has one block of states as well',
    (optimizer) => {
      const method = { optimizer: optimizer as 'adamw', otherParameters: 'trained' } as const;
      const [one, five] = [1, 5].map((blocks) => bytesOf(badam({ ...method, blocks })).optimizerState);
      const others = bytesOf(
        dense({ optimizer: method.optimizer, frozen: ['model.layers.*'] }),
      ).optimizerState;
      // Scales and counts fill whole blocks of bytes.
      expect(five! - others).toBeLessThanOrEqual(Math.ceil((one! - others) / 5));
    },
  );
});

describe('turns', () => {
  const blocksOf = (method: Method, steps: number): (string | undefined)[] => {
    const clock = new StepClock(method);
    return Array.from({ length: steps }, () => {
      const { variant, scalars } = clock;
      expect(scalars['turnStep']).toBe((clock.completedSteps % 2) + 1);
      clock.completeStep();
      return variant;
    });
  };
  const inOrder = { blocks: 3, switchInterval: 2 };

  test('go up, or down, again and again', () => {
    const [zero, one, two] = [undefined, 'block-1', 'block-2'];
    const ascending = blocksOf(badam({ ...inOrder, switchMode: 'ascending' }), 8);
    expect(ascending).toEqual([zero, zero, one, one, two, two, zero, zero]);
    const descending = blocksOf(badam({ ...inOrder, switchMode: 'descending' }), 8);
    expect(descending).toEqual([two, two, one, one, zero, zero, two, two]);
  });

  test('at random are each once in a round, in orders that differ from round to round and from seed to seed', () => {
    const roundsOf = (seed: number): string[] => {
      const all = blocksOf(badam({ blocks: 5, switchInterval: 2, seed }), 60).filter((_, i) => i % 2 === 0);
      return Array.from({ length: 6 }, (_, round) => {
        const order = all.slice(5 * round, 5 * round + 5);
        expect(new Set(order).size).toBe(5);
        return order.join();
      });
    };
    expect(new Set(roundsOf(1)).size).toBeGreaterThan(3);
    expect(roundsOf(2)).not.toEqual(roundsOf(1));
    expect(roundsOf(1)).toEqual(roundsOf(1));
  });

  test('a state of other steps is refused', () => {
    const clock = new StepClock(badam());
    expect(() => clock.restore(5, { turn: { steps: 4 } })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
    );
  });
});

test('what is trained in any turn counts as trained, with the gradients of one turn', () => {
  const model = llama(config);
  const parts = trainedParts({ model, method: badam({ blocks: 5 }), dtype: 'f32', gradientDtype: 'f32' });
  const part = (name: string) => parts.filter((candidate) => candidate.part === name);
  expect(part('query')).toEqual([
    expect.objectContaining({ isTrained: true, numTensors: 5, numGradients: 32 * 32 }),
  ]);
  expect(part('embedding')).toEqual([expect.objectContaining({ isTrained: false, numGradients: 0 })]);
});

test('more blocks than layers are refused, with what would do', () => {
  expect(() => planOf(badam())).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: 'blocks',
      expected: expect.stringContaining('at most 5'),
      received: '8',
    }),
  );
});
