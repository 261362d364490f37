/** Gradients of small models that use values and weights in every way, against finite differences. */
import { describe, expect, test } from '@jest/globals';
import { applyUpdates, buildUpdate } from '../../lib/compile/apply-method.js';
import { differentiate } from '../../lib/compile/differentiate.js';
import { buildForward } from '../../lib/compile/forward.js';
import { squareGradients } from '../../lib/compile/gradient-squares.js';
import { withoutDeadNodes } from '../../lib/compile/dead-nodes.js';
import { isCompactError } from '../../lib/errors.js';
import {
  type Graph,
  type Model,
  type Value,
  add,
  bias,
  dequantize,
  embedding,
  layerNorm,
  linearCrossEntropy,
  matmul,
  matmulOp,
  multiply,
  producersOf,
  quantize,
  rmsNorm,
  silu,
  sumOfSquaresOp,
} from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import { evaluateNodes } from '../helpers/evaluate-graph.js';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { type Tensor, tensor } from '../reference/index.js';

const vocabulary = 7;
const hidden = 4;
const tokens = 5;

/** Weights by name; asking twice gives the same one. */
type Weight = (name: string, ...shape: number[]) => Value;

/** A model around a body: embedding in front, a head with cross-entropy behind. */
function toyModel(body: (x: Value, weight: Weight) => Value): Model {
  return {
    name: 'toy',
    vocabularySize: vocabulary,
    maxSequenceLength: tokens,
    numParameters: 0,
    batchFields: [],
    weights: [],
    constants: () => ({}),
    describe: () => ({}),
    pretrainedConfig: () => ({}),
    build(graph: Graph): Value {
      const weight: Weight = (name, ...shape) =>
        graph.parameter(name, shape, 'f32', {
          role: 'linear',
          initializer: { type: 'normal', standardDeviation: 1 },
        });
      const table = weight('table', vocabulary, hidden);
      const x = embedding(table, graph.input('tokens', [tokens], 'i32'));
      const y = body(x, weight);
      const targets = graph.input('targets', [tokens], 'i32');
      return linearCrossEntropy(y, table, targets);
    },
  };
}

const norm = (x: Value, weight: Weight, name: string) =>
  layerNorm(x, weight(`${name}.weight`, hidden), weight(`${name}.bias`, hidden), 1e-3);

const models: Readonly<Record<string, Model>> = {
  'tied embedding and head': toyModel((x) => x),
  'residual without a norm': toyModel((x, weight) => add(x, matmul(x, weight('w', hidden, hidden)))),
  'residual around a norm, twice': toyModel((x, weight) => {
    const first = add(x, matmul(rmsNorm(x, weight('n', hidden), 1e-3), weight('w1', hidden, hidden)));
    return add(first, matmul(rmsNorm(first, weight('n', hidden), 1e-3), weight('w2', hidden, hidden)));
  }),
  'one weight in two layers': toyModel((x, weight) =>
    matmul(silu(matmul(x, weight('w', hidden, hidden))), weight('w', hidden, hidden)),
  ),
  'one norm in two layers, both its vectors': toyModel((x, weight) =>
    norm(matmul(norm(x, weight, 'n'), weight('w', hidden, hidden)), weight, 'n'),
  ),
  'one value in three products and a product with itself': toyModel((x, weight) => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => matmul(x, weight(name, hidden, hidden)));
    return add(multiply(a!, b!), multiply(c!, c!));
  }),
  'one bias on two layers': toyModel((x, weight) =>
    bias(silu(bias(matmul(x, weight('w', hidden, hidden)), weight('b', hidden))), weight('b', hidden)),
  ),
  'a value added to itself': toyModel((x, weight) => {
    const y = matmul(x, weight('w', hidden, hidden));
    return add(y, y);
  }),
};

const options = { batchSize: 1, sequenceLength: tokens, dtype: 'f32', purpose: 'train' } as const;

function inputsOf(graph: Graph, batch: string): Map<Value, Tensor> {
  const tensors = new Map<Value, Tensor>();
  for (const value of graph.values) {
    if (value.persistent && value.parameter) tensors.set(value, randomTensor(value.name, value.shape, 0.5));
    else if (value.persistent) tensors.set(value, tensor(value.shape));
    else if (value.kind === 'input')
      tensors.set(value, randomIntegers(`${batch}.${value.name}`, value.shape, vocabulary));
  }
  return tensors;
}

/** Loss as a function of one element of one parameter. */
function lossAt(model: Model, batch: string, name: string, element: number, step: number): number {
  const { graph, nodes, result } = buildForward('evaluate', model, options);
  const tensors = inputsOf(graph, batch);
  const parameter = graph.parameters.find((value) => value.name === name)!;
  tensors.get(parameter)!.data[element]! += step;
  evaluateNodes(nodes, tensors);
  return tensors.get(result)!.data[0]!;
}

function finiteDifferences(model: Model, batch: string, { name, shape }: Value): number[] {
  const step = 1e-5;
  return Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, element) => {
    const [above, below] = [step, -step].map((change) => lossAt(model, batch, name, element, change));
    return (above! - below!) / (2 * step);
  });
}

/** Truncation and cancellation of central differences with steps of 1e-5 on losses of about 20. */
const tolerance = 1e-6;

function expectClose(actual: Float64Array, expected: readonly number[]): void {
  for (const [index, value] of expected.entries())
    expect(Math.abs(actual[index]! - value)).toBeLessThan(tolerance);
}

describe.each(Object.entries(models))('%s', (_name, model) => {
  test('gradients are the derivatives of the loss', () => {
    const forward = buildForward('step', model, options);
    const program = differentiate(forward, { method: dense(), gradientDtype: 'f32', window: false });
    const tensors = inputsOf(program.graph, 'a');
    evaluateNodes(withoutDeadNodes(applyUpdates(program, dense())).nodes.filter(isNoUpdate), tensors);
    expect([...program.gradients.keys()]).toHaveLength(program.graph.parameters.length);
    for (const [parameter, gradient] of program.gradients)
      expectClose(tensors.get(gradient)!.data, finiteDifferences(model, 'a', parameter));
  });

  test('gradients of a window add up over its runs, and so do their squares', () => {
    const forward = buildForward('accumulate', model, options);
    const program = squareGradients(
      differentiate(forward, { method: dense(), gradientDtype: 'f32', window: true }),
    );
    const { nodes } = withoutDeadNodes(program);
    const windows = [...program.gradients.keys()].map(({ name }) =>
      program.graph.persistentValues.find((value) => value.name === `${name}.gradient`)!,
    );
    const gradients = [...program.gradients.values()];
    let kept = new Map(windows.map((window) => [window, randomTensor('stale', window.shape)]));
    for (const [index, batch] of ['a', 'b'].entries()) {
      const tensors = new Map([...inputsOf(program.graph, batch), ...kept]);
      evaluateNodes(nodes, tensors, { accumulate: index });
      // The last of the values that are made in the window's memory.
      const latest = gradients.map((gradient) => tensors.get(gradient)!);
      kept = new Map(windows.map((window, at) => [window, latest[at]!]));
      for (const [at, gradient] of gradients.entries()) {
        const producer = producersOf(nodes).get(gradient);
        const [, squares] = producer!.outputs;
        if (producer!.op !== matmulOp.name) continue;
        const sum = latest[at]!.data.reduce((total, value) => total + value * value, 0);
        expect(tensors.get(squares!)!.data[at]).toBeCloseTo(sum, 10);
      }
    }
    for (const [index, parameter] of [...program.gradients.keys()].entries()) {
      const [a, b] = ['a', 'b'].map((batch) => finiteDifferences(model, batch, parameter));
      expectClose(
        kept.get(windows[index]!)!.data,
        a!.map((value, element) => value + b![element]!),
      );
    }
  });
});

const isNoUpdate = ({ phase }: { phase: string }) => phase !== 'update';

test('gradients are complete in the order of the map, head first', () => {
  const forward = buildForward('step', models['residual around a norm, twice']!, options);
  const { gradients } = differentiate(forward, { method: dense(), gradientDtype: 'f32', window: false });
  expect([...gradients.keys()].map(({ name }) => name)).toEqual(['w2', 'w1', 'n', 'table']);
});

test('gradients have the dtype that was asked for', () => {
  const forward = buildForward('step', models['one norm in two layers, both its vectors']!, options);
  const { gradients } = differentiate(forward, { method: dense(), gradientDtype: 'bf16', window: false });
  for (const gradient of gradients.values()) expect(gradient.dtype).toBe('bf16');
});

test('clipping measures every gradient once, in place, before the first update', () => {
  const forward = buildForward('accumulate', models['one bias on two layers']!, options);
  const program = squareGradients(
    differentiate(forward, { method: dense(), gradientDtype: 'f32', window: true }),
  );
  const { nodes, outputs } = buildUpdate('update', program, dense(), 1);
  const names = [...program.gradients.keys()].map(({ name }) => `${name}.gradient`);
  // By the product that makes it, else before the update.
  const products = program.nodes.filter(({ attributes }) => attributes.squaresIndex !== undefined);
  const others = nodes.filter(({ op }) => op === sumOfSquaresOp.name);
  const measured = [
    ...products.map(({ inputs: [, , gradient], attributes }) => [attributes.squaresIndex, gradient!.name]),
    ...others.map(({ inputs: [gradient], attributes }) => [attributes.index, gradient!.name]),
  ];
  expect(products.length).toBeGreaterThan(0);
  expect(others.length).toBeGreaterThan(0);
  expect(measured).toHaveLength(names.length);
  expect(new Map(measured as [number, string][])).toEqual(new Map(names.entries()));
  expect(outputs.has('gradNorm')).toBe(true);
  expect(buildUpdate('update', program, dense(), 0).outputs.size).toBe(0);
});

test('an op without a gradient rule is refused by name', () => {
  const model = toyModel((x) => dequantize(quantize(x, 16), 16, 'f32'));
  let caught: unknown;
  try {
    differentiate(buildForward('step', model, options), {
      method: dense(),
      gradientDtype: 'f32',
      window: false,
    });
  } catch (error) {
    caught = error;
  }
  expect(isCompactError(caught, 'ERR_COMPACT_OP_UNSUPPORTED')).toBe(true);
  expect(String(caught)).toContain('dequantize');
});
