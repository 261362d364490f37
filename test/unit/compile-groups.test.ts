/** Which instructions a plan lets run at the same time, and what that costs. */
import { describe, expect, test } from '@jest/globals';
import { type CompileOptions, compile, groupSpans, type PlanInstruction } from '../../lib/compile/index.js';
import { group } from '../../lib/compile/groups.js';
import { lifetimes } from '../../lib/compile/lifetimes.js';
import {
  add,
  gradientNorm,
  Graph,
  matmul,
  type Node,
  producersOf,
  type Program,
  scale,
  sgd,
  type Value,
  withSquares,
} from '../../lib/graph/index.js';
import { compact, dense, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { Expressions, meaningOfGraph } from '../helpers/symbolic.js';
import { groupingTarget } from '../helpers/plan-target.js';

const numHiddenLayers = 3;
const model = llama({
  vocabSize: 64,
  hiddenSize: 32,
  intermediateSize: 88,
  numAttentionHeads: 4,
  numHiddenLayers,
});

const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
  compile({
    model,
    method,
    target: groupingTarget,
    batchSize: 8,
    sequenceLength: 16,
    dtype: 'bf16',
    ...change,
  });

/** How many groups an entry has, by phase, op and number of members. */
function groupsOf(instructions: readonly PlanInstruction[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { first, last } of new Set(groupSpans(instructions))) {
    if (first === last) continue;
    const { phase, op } = instructions[first]!;
    const name = `${phase} ${op} ${last - first + 1}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const groupsOfEntry = (method: Method, change?: Partial<CompileOptions>, entry = 'step') =>
  groupsOf(planOf(method, change).entries[entry]!.instructions);

const forward = {
  'forward matmul 3': numHiddenLayers, // query, key, value
  'forward rope 2': numHiddenLayers,
  'forward matmul 2': numHiddenLayers, // gate, up
};
const gradients = {
  'backward matmul 3': numHiddenLayers,
  'backward matmul 2': numHiddenLayers,
  'backward rope 2': numHiddenLayers,
};
const updates = {
  'update adamDirection 3': numHiddenLayers,
  'update adamDirection 2': numHiddenLayers,
  'update projectBackUpdate 3': numHiddenLayers,
  'update projectBackUpdate 2': numHiddenLayers,
};

describe('groups', () => {
  test.each([
    ['stored', compact({ rankRatio: 0.25 })],
    ['lazy', compact({ rankRatio: 0.25, store: 'lazy' })],
  ])('compact, %s: products of one input, gradients of one z, directions and updates', (_, method) => {
    expect(groupsOfEntry(method)).toEqual({ ...forward, ...gradients, ...updates });
  });

  test('weights with projections of their own share only their input', () => {
    const own = groupsOfEntry(compact({ rankRatio: 0.25, sharing: 'weight' }));
    expect(own).toEqual({ ...forward, 'backward rope 2': numHiddenLayers });
  });

  test('dense weight gradients and their updates stay apart', () => {
    expect(groupsOfEntry(dense())).toEqual({ ...forward, 'backward rope 2': numHiddenLayers });
  });

  test('a step in two halves has the same groups', () => {
    const method = compact({ rankRatio: 0.25 });
    const change = { accumulateGradients: true };
    expect(groupsOfEntry(method, change, 'accumulate')).toEqual({ ...forward, ...gradients });
    expect(groupsOfEntry(method, change, 'update')).toEqual(updates);
    expect(groupsOfEntry(method, change, 'evaluate')).toEqual(forward);
  });

  test('products that write their squares to elements of one vector are grouped, too', () => {
    const clipped = groupsOfEntry(compact({ rankRatio: 0.25 }), { maxGradNorm: 1 }, 'accumulate');
    expect(clipped).toEqual({ ...forward, ...gradients });
  });

  test('layers that run again in backward run as in forward', () => {
    const again = {
      'backward matmul 3': 2 * numHiddenLayers,
      'backward matmul 2': 2 * numHiddenLayers,
      'backward rope 2': 2 * numHiddenLayers,
    };
    const method = compact({ rankRatio: 0.25 });
    expect(groupsOfEntry(method, { recompute: 'layer' })).toEqual({ ...forward, ...again, ...updates });
  });

  test('a target without them gets none', () => {
    const { groupedOps: _, ...target } = groupingTarget;
    for (const { instructions } of Object.values(planOf(compact({ rankRatio: 0.25 }), { target }).entries))
      expect(instructions.some(({ joinsPrevious }) => joinsPrevious)).toBe(false);
  });
});

describe('memory', () => {
  const method = compact({ rankRatio: 0.25 });
  /** A target whose kernels of one op need as much scratch as the rest of the arena. */
  const greedy = (op: string): CompileOptions['target'] => ({
    ...groupingTarget,
    workspaceBytes: (call) => (call.op === op ? 1 << 20 : groupingTarget.workspaceBytes(call)),
  });
  const without = (target: CompileOptions['target']) => ({ ...target, groupedOps: new Set<string>() });

  test('updates run one by one where the arena would grow by their workspaces', () => {
    const target = greedy('projectBackUpdate');
    expect(groupsOfEntry(method, { target })).toEqual({ ...forward, ...gradients });
  });

  test('nothing is grouped where products would make the arena grow', () => {
    const target = greedy('matmul');
    expect(groupsOfEntry(method, { target })).toEqual({});
    expect(planOf(method, { target }).peakBytes).toBe(planOf(method, { target: without(target) }).peakBytes);
  });

  test('the largest entry sets the limit for all', () => {
    const target = greedy('projectBackUpdate');
    const change = { target, maxGradNorm: 1, batchSize: 512 };
    expect(groupsOfEntry(method, change, 'update')).toEqual(updates);
  });
});

test('members take over nothing that another one reads', () => {
  const graph = new Graph();
  const x = scale(graph.input('x', [4, 4], 'f32'), 2);
  const [first, second] = [scale(x, 3), scale(x, 4)];
  const outputs = new Map([['sum', add(first, second)]]);
  const program = { name: 'step', graph, nodes: graph.nodes, outputs };
  const placed = (joined: ReadonlySet<Node>) =>
    lifetimes({ ...program, joined }, () => 0).storages.map(({ values }) => values);
  expect(placed(new Set())).toContainEqual([x, second]);
  expect(placed(new Set([producersOf(graph.nodes).get(second)!]))).toContainEqual([x]);
});

/** Nodes in the order in which they are made, as a program whose results are all outputs. */
function programOf(build: (graph: Graph) => Record<string, Value>): Program {
  const graph = new Graph();
  const outputs = new Map(Object.entries(build(graph)));
  return { name: 'step', graph, nodes: graph.nodes, outputs };
}

describe('siblings that depend on each other', () => {
  const matrix = (graph: Graph, name: string) => graph.input(name, [4, 4], 'f32');
  const isProduct = ({ op }: Node) => op === 'matmul';

  function expectSameMeaning(program: Program, grouped: Program): void {
    const expressions = new Expressions();
    expect(meaningOfGraph(grouped, expressions)).toEqual(meaningOfGraph(program, expressions));
    expect(new Set(grouped.nodes)).toEqual(new Set(program.nodes));
    const made = new Set<Value>();
    const producers = producersOf(program.nodes);
    for (const { inputs, outputs } of grouped.nodes) {
      for (const input of inputs)
        if (input !== undefined && producers.has(input)) expect(made.has(input)).toBe(true);
      for (const output of outputs) made.add(output);
    }
  }

  test('directly: apart', () => {
    const program = programOf((graph) => {
      const x = matrix(graph, 'x');
      const first = matmul(x, matrix(graph, 'w'));
      return { second: matmul(x, scale(first, 2)), third: matmul(x, matrix(graph, 'v')) };
    });
    const grouped = group(program, isProduct);
    expect(grouped.joined!.size).toBe(0);
    expectSameMeaning(program, grouped);
  });

  test('by way of another group: one of the two', () => {
    const program = programOf((graph) => {
      const [x, y, w] = [matrix(graph, 'x'), matrix(graph, 'y'), matrix(graph, 'w')];
      const a1 = matmul(x, w);
      const b1 = matmul(y, scale(a1, 2));
      const b2 = matmul(y, w);
      const a2 = matmul(x, scale(b2, 2));
      return { a1, b1, a2 };
    });
    const grouped = group(program, isProduct);
    expect(grouped.joined!.size).toBe(1);
    expectSameMeaning(program, grouped);
  });

  test('what stands between siblings stays before them, what needs them follows', () => {
    const program = programOf((graph) => {
      const [x, w] = [matrix(graph, 'x'), matrix(graph, 'w')];
      const first = matmul(x, w);
      const after = scale(first, 2);
      const between = scale(w, 3);
      return { after, second: matmul(x, between) };
    });
    const grouped = group(program, isProduct);
    expect(grouped.nodes.map(({ op }) => op)).toEqual(['scale', 'matmul', 'matmul', 'scale']);
    expectSameMeaning(program, grouped);
  });

  test('what overwrites an operand of a sibling follows, too', () => {
    const program = programOf((graph) => {
      const [x, gradient] = [matrix(graph, 'x'), matrix(graph, 'gradient')];
      const weight = graph.state('w', [4, 4], 'f32', 'parameter');
      const first = matmul(x, weight);
      sgd(weight, gradient, { learningRate: 1 });
      return { first, second: matmul(x, gradient) };
    });
    expect(group(program, isProduct).nodes.map(({ op }) => op)).toEqual(['matmul', 'matmul', 'sgd']);
  });

  /** Products of one matrix, each with the number of the element that its squares go to. */
  function squaring(graph: Graph) {
    const z = matrix(graph, 'z');
    const squares = graph.state('squares', [2], 'f32', 'gradient');
    const product = (name: string, index: number) =>
      withSquares(graph.collect(() => matmul(z, matrix(graph, name))).nodes[0]!, squares, index);
    return { squares, product };
  }
  const onlySquared = ({ inputs }: Node) => inputs[3] !== undefined;

  test('updates of different elements do not depend on each other, of the same one do', () => {
    for (const [second, joined] of [
      [1, 1],
      [0, 0],
    ] as const) {
      const program = programOf((graph) => {
        const { product } = squaring(graph);
        return { a: product('a', 0), b: product('b', second) };
      });
      expect(group(program, onlySquared).joined!.size).toBe(joined);
    }
  });

  test('what reads a vector stays between the updates of its elements', () => {
    const program = programOf((graph) => {
      const { squares, product } = squaring(graph);
      const a = product('a', 0);
      const { norm } = gradientNorm(squares, 1);
      return { a, norm, b: product('b', 1) };
    });
    const grouped = group(program, onlySquared);
    expect(grouped.joined!.size).toBe(0);
    expectSameMeaning(program, grouped);
  });

  test('more than a kernel takes: two groups', () => {
    const program = programOf((graph) => {
      const x = matrix(graph, 'x');
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      return Object.fromEntries(names.map((name) => [name, matmul(x, matrix(graph, name))]));
    });
    const joined = group(program, isProduct);
    expect(joined.nodes.map((node) => joined.joined!.has(node))).toEqual([
      false,
      true,
      true,
      true,
      false,
      true,
    ]);
  });
});
