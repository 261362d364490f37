/** Gradient rules: what they name, hence what backward keeps, and that they are the derivatives. */
import { describe, expect, test } from '@jest/globals';
import {
  type DType,
  Graph,
  type Node,
  opDefinitions,
  producersOf,
  type Value,
  add,
  attention,
  bias,
  cast,
  copy,
  crossEntropy,
  dropout,
  embedding,
  firstRows,
  geglu,
  gelu,
  layerNorm,
  linearCrossEntropy,
  linearCrossEntropyInt8,
  linearLogProbabilities,
  matmul,
  matmulInt8,
  matmulNf4,
  multiply,
  preferenceLoss,
  reshape,
  rmsNorm,
  rope,
  scale,
  scaleChannels,
  silu,
  softCap,
  squaredError,
  swiglu,
} from '../../lib/graph/index.js';
import { evaluateNodes } from '../helpers/evaluate-graph.js';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { type Tensor, tensor } from '../reference/index.js';

/** Makes an operand; whole numbers below the limit, which have no gradient, where one is given. */
type Make = (name: string, shape: readonly number[], limit?: number, dtype?: DType) => Value;

interface RuleCase {
  /** What the gradients of all inputs read of the forward pass, beside the gradient of the output. */
  readonly names: readonly string[];
  readonly build: (make: Make) => Value;
}

const int8 = (make: Make, shape: readonly [number, number]) => ({
  codes: make('codes', shape, 100, 'i8'),
  scales: make('scales', [Math.ceil((shape[0] * shape[1]) / 16)], 3, 'f32'),
});

const rules: Readonly<Record<string, RuleCase>> = {
  add: { names: [], build: (make) => add(make('a', [3, 5]), make('b', [3, 5])) },
  attention: {
    names: ['q', 'k', 'v', 'o', 'lse'],
    build: (make) =>
      attention(make('q', [12, 8]), make('k', [12, 4]), make('v', [12, 4]), {
        sequenceLength: 6,
        headSize: 2,
      }),
  },
  'attention with a mask': {
    names: ['q', 'k', 'v', 'o', 'lse', 'mask'],
    build: (make) => {
      const q = make('q', [6, 8]);
      const mask = q.graph.input('mask', [6], 'u8');
      return attention(q, make('k', [6, 8]), make('v', [6, 8]), {
        sequenceLength: 3,
        headSize: 4,
        causal: false,
        mask,
      });
    },
  },
  'attention of packed documents': {
    names: ['q', 'k', 'v', 'o', 'lse', 'firstKeys'],
    build: (make) => {
      const firstKeys = make('firstKeys', [12], 4);
      return attention(make('q', [12, 8]), make('k', [12, 4]), make('v', [12, 4]), {
        sequenceLength: 6,
        headSize: 2,
        firstKeys,
      });
    },
  },
  'attention with a soft cap': {
    names: ['q', 'k', 'v', 'o', 'lse'],
    build: (make) =>
      attention(make('q', [6, 8]), make('k', [6, 8]), make('v', [6, 8]), {
        sequenceLength: 3,
        headSize: 4,
        softCap: 0.5,
      }),
  },
  bias: { names: [], build: (make) => bias(make('x', [3, 5]), make('bias', [5])) },
  cast: { names: [], build: (make) => cast(make('x', [3, 5]), 'f32') },
  copy: { names: [], build: (make) => copy(make('x', [3, 5])) },
  crossEntropy: {
    names: ['logits', 'targets'],
    build: (make) => crossEntropy(make('logits', [3, 5]), make('targets', [3], 5), { lossScale: 0.5 }),
  },
  dropout: {
    names: [],
    build: (make) => dropout(make('x', [3, 50]), { probability: 0.3, seed: 3, tensorId: 1, step: 2 }),
  },
  embedding: { names: ['ids'], build: (make) => embedding(make('table', [4, 5]), make('ids', [6], 4)) },
  firstRows: { names: [], build: (make) => firstRows(make('x', [12, 3]), 4) },
  geglu: { names: ['gate', 'up'], build: (make) => geglu(make('gate', [3, 5]), make('up', [3, 5])) },
  gelu: { names: ['x'], build: (make) => gelu(make('x', [3, 5]), { approximate: true }) },
  layerNorm: {
    names: ['x', 'weight', 'mean', 'rstd'],
    build: (make) => layerNorm(make('x', [3, 5]), make('weight', [5]), make('bias', [5]), 0.01),
  },
  linearCrossEntropy: {
    names: ['x', 'weight', 'targets'],
    build: (make) => linearCrossEntropy(make('x', [3, 5]), make('weight', [7, 5]), make('targets', [3], 7)),
  },
  'linearCrossEntropy with a soft cap': {
    names: ['x', 'weight', 'targets'],
    build: (make) =>
      linearCrossEntropy(make('x', [3, 5]), make('weight', [7, 5]), make('targets', [3], 7), {
        softCap: 0.5,
      }),
  },
  linearCrossEntropyInt8: {
    names: ['x', 'codes', 'scales', 'targets'],
    build: (make) =>
      linearCrossEntropyInt8(make('x', [3, 5]), int8(make, [7, 5]), 16, make('targets', [3], 7)),
  },
  linearLogProbabilities: {
    names: ['x', 'weight', 'targets', 'lse'],
    build: (make) =>
      linearLogProbabilities(make('x', [6, 5]), make('weight', [7, 5]), make('targets', [6], 7), {
        sequenceLength: 3,
        softCap: 0.5,
      }).logProbabilities,
  },
  matmul: { names: ['a', 'b'], build: (make) => matmul(make('a', [3, 5]), make('b', [5, 4])) },
  'matmul with a table': {
    names: ['a', 'b'],
    build: (make) => matmul(make('a', [3, 5]), make('b', [4, 5]), { transposeB: true }),
  },
  'matmul scaled and added in place': {
    names: ['a', 'b'],
    build: (make) =>
      matmul(make('a', [3, 5]), make('b', [5, 4]), { alpha: -1.5, accumulator: make('c', [3, 4]) }),
  },
  matmulInt8: {
    names: ['codes', 'scales'],
    build: (make) => matmulInt8(make('a', [3, 5]), int8(make, [5, 4]), 16),
  },
  matmulNf4: {
    names: ['codes', 'magnitudes', 'ranges'],
    build: (make) =>
      matmulNf4(make('a', [3, 5]), {
        columns: 3,
        codes: make('codes', [5, 2], 256, 'u8'),
        magnitudes: make('magnitudes', [1, 256], 256, 'u8'),
        ranges: make('ranges', [1, 2], 3, 'f32'),
      }),
  },
  multiply: { names: ['a', 'b'], build: (make) => multiply(make('a', [3, 5]), make('b', [3, 5])) },
  preferenceLoss: {
    names: ['logProbabilities', 'reference'],
    build: (make) =>
      preferenceLoss(make('logProbabilities', [4]), make('reference', [4], 3, 'f32'), {
        beta: 0.4,
        labelSmoothing: 0.1,
      }),
  },
  rmsNorm: {
    names: ['x', 'weight', 'rstd'],
    build: (make) => rmsNorm(make('x', [3, 5]), make('weight', [5]), 0.01),
  },
  'rmsNorm of weights that stand without their 1': {
    names: ['x', 'weight', 'rstd'],
    build: (make) => rmsNorm(make('x', [3, 5]), make('weight', [5]), 0.01, { weightOffset: 1 }),
  },
  rope: {
    names: ['cos', 'sin'],
    build: (make) => {
      const x = make('x', [6, 8]);
      const tables = (['cos', 'sin'] as const).map((name) => x.graph.state(name, [3, 2], 'f32', 'input'));
      return rope(x, tables[0]!, tables[1]!, { headSize: 4 });
    },
  },
  'scale to another shape': { names: [], build: (make) => reshape(make('x', [3, 10]), [6, 5]) },
  scaleChannels: {
    names: ['x', 'factors'],
    build: (make) => scaleChannels(make('x', [3, 5]), make('factors', [5], undefined, 'f32'), 'column'),
  },
  scale: { names: [], build: (make) => scale(make('x', [3, 5]), -1.5) },
  silu: { names: ['x'], build: (make) => silu(make('x', [3, 5])) },
  squaredError: {
    names: ['predictions', 'targets'],
    build: (make) =>
      squaredError(make('predictions', [5, 1]), make('targets', [5], 3, 'f32'), { lossScale: 0.5 }),
  },
  tanh: { names: ['y'], build: (make) => softCap(make('x', [3, 5]), 1.5) },
  swiglu: { names: ['gate', 'up'], build: (make) => swiglu(make('gate', [3, 5]), make('up', [3, 5])) },
};

test('every op with a gradient is tried', () => {
  const differentiable = [...opDefinitions.values()].filter(
    ({ gradient, fusedLossGradient }) => gradient !== undefined || fusedLossGradient !== undefined,
  );
  const tried = new Set(Object.keys(rules).map((title) => title.split(' ')[0]!));
  expect([...tried].sort()).toEqual(differentiable.map(({ name }) => name).sort());
});

describe.each(Object.entries(rules))('%s', (title, { names, build }) => {
  const graph = new Graph();
  const operands: { value: Value; tensor: Tensor; limit: number | undefined }[] = [];
  const output = build((name, shape, limit, dtype = limit === undefined ? 'f32' : 'i32') => {
    const value = graph.input(name, shape, dtype);
    const data =
      limit === undefined
        ? randomTensor(`${title} ${name}`, shape)
        : randomIntegers(`${title} ${name}`, shape, limit);
    operands.push({ value, tensor: data, limit });
    return value;
  });
  const forward = producersOf(graph.nodes).get(output)!;
  const numForwardNodes = graph.nodes.length;
  const outputGradient = graph.input('outputGradient', output.shape, 'f32');
  const constants = new Set(operands.filter(({ limit }) => limit !== undefined).map(({ value }) => value));
  const gradients = gradientsOf(forward, outputGradient, (value) => !constants.has(value));
  const backward = graph.nodes.slice(numForwardNodes);

  test('names no more than it needs', () => {
    const read = new Set(backward.flatMap(({ inputs }) => inputs).filter((value) => value !== undefined));
    const ofForward = [...forward.inputs, ...forward.outputs].filter((value) => value !== undefined);
    const named = ofForward.filter((value) => read.has(value)).map(({ name }) => name);
    expect(named.sort()).toEqual([...names].sort());
  });

  test('is the derivative', () => {
    const weights = randomTensor(`${title} outputGradient`, output.shape);
    if (forward.outputs[0]!.name === 'loss') weights.data.fill(1);
    const tensors = () => {
      const map = new Map<Value, Tensor>([[outputGradient, weights]]);
      for (const { value, tensor: data } of operands) map.set(value, tensor(data.shape, data.data));
      for (const value of forward.inputs) {
        if (value?.name === 'mask') map.set(value, tensor(value.shape, [1, 0, 1, 1, 1, 0]));
        if (value?.name === 'cos' || value?.name === 'sin')
          map.set(
            value,
            tensor(
              value.shape,
              [0, 1, 2, 3, 4, 5].map((angle) => Math[value.name as 'cos'](angle)),
            ),
          );
      }
      return map;
    };
    /** The sum of the outputs, weighted by the given gradient. */
    const objective = (map: Map<Value, Tensor>): number => {
      evaluateNodes([forward], map);
      return map.get(output)!.data.reduce((sum, value, i) => sum + value * weights.data[i]!, 0);
    };
    const exact = tensors();
    objective(exact);
    evaluateNodes(backward, exact);
    for (const { value, limit } of operands) {
      const gradient = gradients[forward.inputs.indexOf(value)];
      expect(gradient === undefined).toBe(limit !== undefined);
      if (gradient === undefined) continue;
      expect(gradient.shape).toEqual(value.shape);
      for (let element = 0; element < tensors().get(value)!.data.length; element++) {
        // Central differences: the error of the formula is about step^2, that of rounding 1e-16 / step.
        const step = 1e-5;
        const [above, below] = [step, -step].map((shift) => {
          const shifted = tensors();
          shifted.get(value)!.data[element]! += shift;
          return objective(shifted);
        }) as [number, number];
        const slope = (above - below) / (2 * step);
        expect(Math.abs(exact.get(gradient)!.data[element]! - slope)).toBeLessThan(
          1e-7 * Math.max(1, Math.abs(slope)),
        );
      }
    }
  });
});

/** Gradients of all inputs, as a method would take them that knows no compression. */
function gradientsOf(
  node: Node,
  outputGradient: Value,
  needs: (value: Value) => boolean,
): readonly (Value | undefined)[] {
  const definition = opDefinitions.get(node.op)!;
  const context = {
    node,
    needs: (index: number) => node.inputs[index] !== undefined && needs(node.inputs[index]),
    gradientDtype: 'f32',
    weightGradient: ({ input, outputGradient: dy }) => matmul(input, dy, { transposeA: true }),
    takeGathered: () => undefined,
  } satisfies Parameters<NonNullable<typeof definition.fusedLossGradient>>[0];
  if (definition.fusedLossGradient !== undefined) return definition.fusedLossGradient(context).inputGradients;
  const outputGradients = node.outputs.map((_, index) => (index === 0 ? outputGradient : undefined));
  return definition.gradient!({ ...context, outputGradients });
}

test('a norm takes over what the residual branch has gathered', () => {
  const graph = new Graph();
  const x = graph.input('x', [3, 5], 'bf16');
  const y = rmsNorm(x, graph.input('weight', [5], 'bf16'), 1e-6);
  const gathered = graph.input('gathered', [3, 5], 'bf16');
  opDefinitions.get('rmsNorm')!.gradient!({
    node: producersOf(graph.nodes).get(y)!,
    outputGradients: [graph.input('dy', [3, 5], 'bf16'), undefined],
    needs: () => true,
    gradientDtype: 'f32',
    weightGradient: () => x,
    takeGathered: (index) => (index === 0 ? gathered : undefined),
  });
  const [, backward] = graph.nodes;
  expect(backward!.inputs[4]).toBe(gathered);
  expect(backward!.outputs.map(({ dtype, kind }) => [dtype, kind])).toEqual([
    ['bf16', 'activation'],
    ['f32', 'gradient'],
  ]);
});
