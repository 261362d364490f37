import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { compact, dense, type Method, methodFromDescription } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';

const planOf = (method: Method, tieWordEmbeddings = false) =>
  compile({
    model: llama('llama-60m', { tieWordEmbeddings }),
    method,
    target: planTarget,
    batchSize: 1,
    sequenceLength: 64,
    dtype: 'f32',
    entries: ['train'],
  });

/** Ops that write each parameter in a step, by the parameter's name. */
function updatesOf(method: Method, tied = false): ReadonlyMap<string, string> {
  const { values, entries } = planOf(method, tied);
  const parameters = new Map(
    values
      .filter(({ region, kind }) => region === 'persistent' && kind === 'parameter')
      .map(({ offset, name }) => [offset, name]),
  );
  return new Map(
    entries.step!.instructions.flatMap(({ op, outputs }) =>
      outputs.flatMap((id) => {
        const { region, offset } = values[id]!;
        const name = region === 'persistent' ? parameters.get(offset) : undefined;
        return name === undefined ? [] : [[name, op] as const];
      }),
    ),
  );
}

const embedding = 'model.embed_tokens.weight';
const head = 'lm_head.weight';
const statesOf = (method: Method, name: string) =>
  planOf(method)
    .values.filter(({ region, kind }) => region === 'persistent' && kind === 'optimizerState')
    .filter((value) => value.name.startsWith(name))
    .map(({ dtype }) => dtype);

describe('the optimizer of embedding and head', () => {
  test("is the method's own unless another is named", () => {
    expect(statesOf(dense(), embedding)).toEqual(['f32', 'f32']);
    expect(dense().describe()).not.toHaveProperty('embeddingOptimizer');
  });

  test.each([
    ['dense', dense],
    ['compact', compact],
  ] as const)('of %s by name: embedding and head alone have it', (_, preset) => {
    const method = preset({ embeddingOptimizer: 'adamw-8bit' });
    for (const name of [embedding, head])
      expect(statesOf(method, name).toSorted()).toEqual(['f32', 'f32', 'u8', 'u8']);
    expect(statesOf(method, 'model.layers').includes('u8')).toBe(false);
    const updates = updatesOf(preset({ embeddingOptimizer: 'adafactor' }));
    expect([updates.get(embedding), updates.get(head)]).toEqual(['weightUpdate', 'weightUpdate']);
    expect(updates.get('model.norm.weight')).toBe('adamW');
  });

  test("'frozen': no gradient, no state, no update of either", () => {
    const method = dense({ embeddingOptimizer: 'frozen' });
    const updates = updatesOf(method);
    expect([updates.has(embedding), updates.has(head)]).toEqual([false, false]);
    expect(updates.has('model.norm.weight')).toBe(true);
    expect(statesOf(method, embedding)).toEqual([]);
    const ops = planOf(method).entries.step!.instructions.map(({ op }) => op);
    expect(ops).not.toContain('embeddingBackward');
    expect(updatesOf(method, true).has(embedding)).toBe(false);
  });

  test("options of its own; decay, rounding and seed are the method's otherwise", () => {
    const method = dense({
      weightDecay: 0.1,
      embeddingOptimizer: { name: 'adamw-8bit', betas: [0.8, 0.9] },
    });
    expect(method.describe()['embeddingOptimizer']).toEqual({
      name: 'adamw-8bit',
      betas: [0.8, 0.9],
      epsilon: 1e-8,
      weightDecay: 0.1,
      stateFormat: '8bit',
      stochasticRounding: true,
      seed: 42,
    });
    expect(methodFromDescription(method.describe()).describe()).toEqual(method.describe());
  });

  test.each([
    ['a name that is none', 'adamx', { op: 'embeddingOptimizer', code: 'ERR_COMPACT_CONFIG_VALUE' }],
    ['a number', 3, { op: 'embeddingOptimizer', code: 'ERR_COMPACT_CONFIG_VALUE' }],
    [
      'an option of another optimizer',
      { name: 'adamw', decayExponent: 1 },
      { op: 'embeddingOptimizer.decayExponent', code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' },
    ],
    [
      'options of what is frozen',
      { name: 'frozen', betas: [0.9, 0.99] },
      { op: 'embeddingOptimizer.betas', code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' },
    ],
  ])('%s is refused', (_, embeddingOptimizer, fields) => {
    expect(() => dense({ embeddingOptimizer } as never)).toThrow(expect.objectContaining(fields));
  });
});
