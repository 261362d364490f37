/** Which additions and norms become one op, and that it costs no memory. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { buildEntries } from '../../lib/compile/entries.js';
import { fuse } from '../../lib/compile/fuse.js';
import { type CompileOptions, compile } from '../../lib/compile/index.js';
import { lifetimes, liveBytes } from '../../lib/compile/lifetimes.js';
import { order } from '../../lib/compile/order.js';
import { choose } from '../../lib/compile/choose.js';
import { withoutDeadNodes } from '../../lib/compile/dead-nodes.js';
import { realise } from '../../lib/compile/realise.js';
import {
  Graph,
  type Node,
  type Program,
  type Value,
  add,
  producersOf,
  rmsNorm,
  silu,
} from '../../lib/graph/index.js';
import { compact } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { smallRuns } from '../helpers/small-llama.js';

const epsilon = 1e-5;

/** Fuses what `build` builds of two matrices and two weights; it returns what the caller is to get. */
function fused(build: (operands: Record<'a' | 'b' | 'v' | 'w', Value>, graph: Graph) => readonly Value[]) {
  const graph = new Graph();
  const matrix = (name: string) => graph.input(name, [5, 8], 'f32');
  const weight = (name: string) => graph.state(name, [8], 'f32', 'parameter');
  const operands = { a: matrix('a'), b: matrix('b'), v: weight('v'), w: weight('w') };
  const outputs = new Map(build(operands, graph).map((value, index) => [`output ${index}`, value]));
  return { ...fuse({ name: 'evaluate', graph, nodes: graph.nodes, outputs }), operands };
}

const opsOf = ({ nodes }: Pick<Program, 'nodes'>): string[] => nodes.map(({ op }) => op);

describe('an addition and the norm of its sum', () => {
  test('become one node of the norm, with the values of both', () => {
    let sum: Value;
    const { nodes, operands } = fused(({ a, b, w }, graph) => {
      sum = graph.inLayer('first', () => add(a, b));
      const y = graph.inLayer('second', () => rmsNorm(sum, w, epsilon));
      return [silu(y)];
    });
    expect(opsOf({ nodes })).toEqual(['addRmsNorm', 'silu']);
    const [{ inputs, outputs, attributes, layer, phase }, next] = nodes as [Node, Node];
    expect(inputs).toEqual([operands.a, operands.b, operands.w]);
    expect(outputs).toEqual([sum!, next.inputs[0], expect.objectContaining({ name: 'rstd' })]);
    expect(outputs.map((output) => output.layer)).toEqual(['first', 'second', 'second']);
    expect({ attributes, layer, phase }).toEqual({
      attributes: { epsilon },
      layer: 'second',
      phase: 'forward',
    });
  });

  test('of two norms take the first; the other reads the sum', () => {
    const { nodes } = fused(({ a, b, v, w }) => {
      const sum = add(a, b);
      return [add(silu(rmsNorm(sum, v, epsilon)), silu(rmsNorm(sum, w, epsilon)))];
    });
    expect(opsOf({ nodes })).toEqual(['addRmsNorm', 'silu', 'rmsNorm', 'silu', 'add']);
    expect(nodes[2]!.inputs[0]).toBe(nodes[0]!.outputs[0]);
  });

  const apart: Record<string, Parameters<typeof fused>[0]> = {
    'the caller gets the sum': ({ a, b, w }) => {
      const sum = add(a, b);
      return [sum, silu(rmsNorm(sum, w, epsilon))];
    },
    'the caller gets the norm': ({ a, b, w }) => [rmsNorm(add(a, b), w, epsilon)],
    'something else reads the sum first': ({ a, b, w }) => {
      const sum = add(a, b);
      const other = silu(sum);
      return [add(other, silu(rmsNorm(sum, w, epsilon)))];
    },
    'the norm is of another value': ({ a, b, w }) => {
      const sum = add(a, b);
      return [add(silu(rmsNorm(a, w, epsilon)), sum)];
    },
    'backward builds them again': ({ a, b, w }, graph) =>
      graph.at('layer', 'backward', () => [silu(rmsNorm(add(a, b), w, epsilon))]),
  };
  test.each(Object.entries(apart))('stay apart where %s', (_reason, build) => {
    expect(opsOf(fused(build))).not.toContain('addRmsNorm');
  });
});

describe('llama', () => {
  const model = llama({
    vocabSize: 64,
    hiddenSize: 32,
    intermediateSize: 88,
    numAttentionHeads: 4,
    numHiddenLayers: 3,
  });
  const plan = compile({
    model,
    method: compact({ rankRatio: 0.25 }),
    target: planTarget,
    batchSize: 2,
    sequenceLength: 16,
    dtype: 'bf16',
    recompute: 'layer',
  });

  test.each([
    ['step', 6, 1], // of the embedding
    ['evaluate', 6, 1],
    ['generate', 6, 1],
  ])('%s: %d norms with the addition before them, %d alone', (entry, together, alone) => {
    const ops = plan.entries[entry]!.instructions.filter(({ phase }) => phase === 'forward').map(
      ({ op }) => op,
    );
    expect(ops.filter((op) => op === 'addRmsNorm')).toHaveLength(together);
    expect(ops.filter((op) => op === 'rmsNorm')).toHaveLength(alone);
    expect(ops.filter((op) => op === 'add')).toHaveLength(6 - together);
  });

  test('every value is of the layer that made it', () => {
    const { layer, outputs } = plan.entries.step!.instructions.find(({ op }) => op === 'addRmsNorm')!;
    expect(layer).toBe('layers.0.mlp');
    expect(outputs.map((id) => plan.values[id]!.layer)).toEqual([
      'layers.0.attention',
      'layers.0.mlp',
      'layers.0.mlp',
    ]);
  });
});

/** Bytes held at each node of an entry by the node's id, with weight gradients in either place. */
function heldAtNodes(program: Program, { target }: CompileOptions): Map<number, number>[] {
  return (['early', 'late'] as const).map((place) => {
    const ordered = order(program, place);
    const { storages, workspaces } = lifetimes(ordered, (node) => target.workspaceBytes(node));
    const live = liveBytes([...storages, ...workspaces], ordered.nodes.length);
    return new Map(ordered.nodes.map(({ id }, index) => [id, live[index]!]));
  });
}

// So no peak is higher; how close arenas come to it is placement's affair (compile-bytes.test.ts).
test('together they hold no more than the fuller of the two apart, and change nothing elsewhere', () => {
  fc.assert(
    fc.property(smallRuns, (options) => {
      const hasCopies = options.method.saving.codec !== undefined;
      const programs = buildEntries(options)
        .map(withoutDeadNodes)
        .map((program) =>
          realise(program, choose(program, options.recompute ?? 'none', options.method.saving)),
        );
      for (const program of programs) {
        const together = fuse(program);
        const addings = producersOf(program.nodes);
        const apart = heldAtNodes(program, options);
        for (const [place, held] of heldAtNodes(together, options).entries()) {
          expect(Math.max(...held.values())).toBeLessThanOrEqual(Math.max(...apart[place]!.values()));
          for (const { id, op, outputs } of together.nodes) {
            // What encodes a sum follows on it, and so on its norm where both are made at once, before what projects that.
            if (hasCopies && ['quantize', 'quantizeFp8', 'project'].includes(op)) continue;
            const adding = op === 'addRmsNorm' ? addings.get(outputs[0]!)!.id : id;
            const most = Math.max(apart[place]!.get(id)!, apart[place]!.get(adding)!);
            if (op === 'addRmsNorm') expect(held.get(id)).toBeLessThanOrEqual(most);
            else expect(held.get(id)).toBe(most);
          }
        }
      }
    }),
    { numRuns: 100, seed: 20241015 },
  );
});
