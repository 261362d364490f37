import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { buildForward } from '../../lib/compile/forward.js';
import {
  Graph,
  type Model,
  type Program,
  add,
  linear,
  parametersOf,
  rewrite,
  scale,
} from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';

const info = { role: 'linear', initializer: { type: 'constant', value: 1 } } as const;

/** Two products, the second of the first: y = (x W) V. */
function twoProducts(): Program {
  const graph = new Graph();
  const x = graph.input('x', [2, 3], 'f32');
  const weight = (name: string) => graph.parameter(name, [3, 3], 'f32', info);
  const hidden = graph.inLayer('first', () => linear(x, weight('W')));
  const y = graph.inLayer('second', () => linear(hidden, weight('V')));
  return { name: 'step', graph, nodes: [...graph.nodes], outputs: new Map([['loss', y]]) };
}

const doubled = (program: Program) =>
  rewrite(program, ({ op, outputs: [y] }) => (op === 'matmul' ? [scale(y!, 2)] : undefined));

describe('rewrite', () => {
  test('what is built follows on the node and is read in its place, outputs of the program included', () => {
    const program = twoProducts();
    const { nodes, outputs } = doubled(program);
    expect(nodes.map(({ op, layer }) => [op, layer])).toEqual([
      ['matmul', 'first'],
      ['scale', 'first'],
      ['matmul', 'second'],
      ['scale', 'second'],
    ]);
    expect(nodes[1]!.inputs).toEqual(nodes[0]!.outputs); // not what replaced them
    expect(nodes[2]!.inputs[0]).toBe(nodes[1]!.outputs[0]);
    expect(outputs.get('loss')).toBe(nodes[3]!.outputs[0]);
    expect(program.nodes.map(({ op }) => op)).toEqual(['matmul', 'matmul']);
  });

  test('rules may follow on each other, and a rule that gives nothing changes nothing', () => {
    const twice = doubled(rewrite(doubled(twoProducts()), () => undefined));
    expect(twice.nodes.map(({ op }) => op)).toEqual(['matmul', 'scale', 'scale', 'matmul', 'scale', 'scale']);
    expect(twice.outputs.get('loss')).toBe(twice.nodes.at(-1)!.outputs[0]);
  });
});

describe('a method that rewrites forward', () => {
  const config = {
    vocabSize: 11,
    hiddenSize: 8,
    intermediateSize: 16,
    numHiddenLayers: 2,
    numAttentionHeads: 2,
  };
  /** Queries by other weights, in the place of the model's. */
  const otherQueries = (program: Program): Program =>
    rewrite(program, ({ op, inputs: [x, weight], outputs: [y] }) => {
      if (op !== 'matmul' || weight!.parameter?.role !== 'query') return undefined;
      const { name, shape, dtype, parameter } = weight!;
      const { role, initializer } = parameter!;
      const other = program.graph.parameter(`${name}.other`, shape, dtype, { role, initializer });
      return [linear(x!, other, y!.name)];
    });
  const build = (rewriteForward: (program: Program) => Program, model: Model = llama(config)) =>
    buildForward(
      'step',
      model,
      { batchSize: 1, sequenceLength: 4, dtype: 'f32', purpose: 'train' },
      { rewriteForward },
    );

  test('drops what nothing reads any more', () => {
    const { nodes } = build(otherQueries);
    const names = nodes.flatMap(({ inputs }) => inputs.map((input) => input?.name));
    expect(names).toContain('model.layers.1.self_attn.q_proj.weight.other');
    expect(names).not.toContain('model.layers.1.self_attn.q_proj.weight');
    expect(parametersOf(build(otherQueries)).map(({ name }) => name)).not.toContain(
      'model.layers.0.self_attn.q_proj.weight',
    );
  });

  test('reaches every entry, and what is not read is in no plan', () => {
    const method = { ...dense(), rewriteForward: otherQueries };
    const options = {
      model: llama(config),
      method,
      target: planTarget,
      batchSize: 1,
      sequenceLength: 4,
    } as const;
    const plan = compile({ ...options, dtype: 'f32' });
    const idOf = (name: string) => plan.values.findIndex((value) => value.name === name);
    expect(idOf('model.layers.0.self_attn.q_proj.weight')).toBe(-1);
    const other = idOf('model.layers.0.self_attn.q_proj.weight.other');
    for (const name of ['step', 'evaluate', 'prefill', 'generate'])
      expect(plan.entries[name]!.instructions.some(({ inputs }) => inputs.includes(other))).toBe(true);
    expect(plan.entries.initialize!.instructions.some(({ outputs }) => outputs.includes(other))).toBe(true);
    // Adding a value twice where it was read once is no reason to drop it.
    const twice = build((program) =>
      rewrite(program, ({ op, outputs: [y] }) => (op === 'rope' ? [add(y!, y!)] : undefined)),
    );
    expect(twice.nodes.filter(({ op }) => op === 'rope')).toHaveLength(4);
  });
});
