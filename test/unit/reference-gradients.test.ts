/** Every backward twin against central differences of its forward twin, in double precision. */
import { describe, expect, test } from '@jest/globals';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { computeTwin, type Inputs, type Numbers, type Tensor, tensor } from '../reference/index.js';

interface GradientCase {
  readonly forward: string;
  readonly backward: string;
  readonly inputs: Inputs;
  readonly attributes: Numbers;
  /** Input of the forward op to the backward output that must be its gradient. */
  readonly gradients: Readonly<Record<string, string>>;
  /** Output of the forward op whose gradient is given; its name in the backward op. */
  readonly output?: readonly [string, string];
  /** Forward outputs that backward reads. */
  readonly kept?: readonly string[];
  readonly backwardAttributes?: Numbers;
}

const random = randomTensor;
const positions = tensor(
  [5, 2],
  Array.from({ length: 10 }, (_, i) => i * 0.3),
);
const tables = {
  cos: { ...positions, data: positions.data.map(Math.cos) },
  sin: { ...positions, data: positions.data.map(Math.sin) },
};
const targets = tensor([5], [3, 0, -100, 6, 3]);
const pairTargets = tensor([6], [3, 0, -100, 6, 3, -100]);
const logProbabilityAttributes = { sequenceLength: 3, first: 0, ignoreIndex: -100, accumulate: 0 };
const lossAttributes = { lossScale: 0.25, ignoreIndex: -100, accumulate: 0 };
const attentionInputs = {
  q: random('q', [12, 8]),
  k: random('k', [12, 4]),
  v: random('v', [12, 4]),
};
const attentionAttributes = { sequenceLength: 6, headSize: 2, causal: 1, scale: 0.7 };
const attentionCase: GradientCase = {
  forward: 'attention',
  backward: 'attentionBackward',
  inputs: attentionInputs,
  attributes: attentionAttributes,
  gradients: { q: 'dq', k: 'dk', v: 'dv' },
  output: ['o', 'dO'],
  kept: ['o', 'lse'],
};
const elementwise = (op: string, attributes: Numbers = {}): GradientCase => ({
  forward: op,
  backward: `${op}Backward`,
  inputs: { x: random(op, [3, 5], 2) },
  attributes,
  gradients: { x: 'dx' },
});

const cases: Readonly<Record<string, GradientCase>> = {
  rmsNorm: {
    forward: 'rmsNorm',
    backward: 'rmsNormBackward',
    inputs: { x: random('x', [4, 7]), weight: random('w', [7]) },
    attributes: { epsilon: 0.01, accumulate: 0 },
    gradients: { x: 'dx', weight: 'dWeight' },
    kept: ['rstd'],
  },
  layerNorm: {
    forward: 'layerNorm',
    backward: 'layerNormBackward',
    inputs: { x: random('x', [4, 7]), weight: random('w', [7]), bias: random('b', [7]) },
    attributes: { epsilon: 0.01, accumulate: 0 },
    gradients: { x: 'dx', weight: 'dWeight', bias: 'dBias' },
    kept: ['mean', 'rstd'],
  },
  rope: {
    forward: 'rope',
    backward: 'rope',
    inputs: { x: random('x', [10, 8]), ...tables },
    attributes: { headSize: 4, inverse: 0 },
    backwardAttributes: { headSize: 4, inverse: 1 },
    gradients: { x: 'y' },
    output: ['y', 'x'],
  },
  attention: attentionCase,
  'attention, bidirectional': { ...attentionCase, attributes: { ...attentionAttributes, causal: 0 } },
  'attention with padding': {
    ...attentionCase,
    inputs: { ...attentionInputs, mask: tensor([12], [0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1]) },
  },
  'attention with a soft cap': { ...attentionCase, attributes: { ...attentionAttributes, softCap: 1.5 } },
  geglu: {
    forward: 'geglu',
    backward: 'gegluBackward',
    inputs: { gate: random('gate', [3, 5], 2), up: random('up', [3, 5]) },
    attributes: {},
    gradients: { gate: 'dGate', up: 'dUp' },
  },
  tanh: {
    forward: 'tanh',
    backward: 'tanhBackward',
    inputs: { x: random('x', [3, 5], 2) },
    attributes: { cap: 1.5 },
    gradients: { x: 'dx' },
    kept: ['y'],
  },
  swiglu: {
    forward: 'swiglu',
    backward: 'swigluBackward',
    inputs: { gate: random('gate', [3, 5], 2), up: random('up', [3, 5]) },
    attributes: {},
    gradients: { gate: 'dGate', up: 'dUp' },
  },
  silu: elementwise('silu'),
  gelu: elementwise('gelu', { approximate: 0 }),
  'gelu, tanh form': elementwise('gelu', { approximate: 1 }),
  dropout: {
    forward: 'dropout',
    backward: 'dropout',
    inputs: { x: random('x', [40]) },
    attributes: { probability: 0.3, seedLow: 1, seedHigh: 2, tensorId: 3, step: 4 },
    gradients: { x: 'y' },
    output: ['y', 'x'],
  },
  embedding: {
    forward: 'embedding',
    backward: 'embeddingBackward',
    inputs: { table: random('table', [6, 3]), ids: randomIntegers('ids', [9], 5) },
    attributes: { accumulate: 0, vocabulary: 6 },
    gradients: { table: 'dTable' },
  },
  bias: {
    forward: 'bias',
    backward: 'columnSum',
    inputs: { x: random('x', [4, 3]), bias: random('bias', [3]) },
    attributes: { accumulate: 0 },
    gradients: { bias: 'y' },
    output: ['y', 'x'],
  },
  firstRows: {
    forward: 'firstRows',
    backward: 'firstRowsBackward',
    inputs: { x: random('x', [12, 3]) },
    attributes: { outputRows: 4 },
    backwardAttributes: { outputRows: 12 },
    gradients: { x: 'dx' },
  },
  crossEntropy: {
    forward: 'crossEntropy',
    backward: 'crossEntropyBackward',
    inputs: { logits: random('logits', [5, 7]), targets },
    attributes: lossAttributes,
    gradients: { logits: 'dLogits' },
    output: ['loss', ''],
  },
  linearCrossEntropy: {
    forward: 'linearCrossEntropy',
    backward: 'linearCrossEntropyBackward',
    inputs: { x: random('x', [5, 4]), weight: random('w', [7, 4]), targets },
    attributes: lossAttributes,
    gradients: { x: 'dx', weight: 'dWeight' },
    output: ['loss', ''],
  },
  'linearCrossEntropy with a soft cap': {
    forward: 'linearCrossEntropy',
    backward: 'linearCrossEntropyBackward',
    inputs: { x: random('x', [5, 4]), weight: random('w', [7, 4]), targets },
    attributes: { ...lossAttributes, softCap: 1.5 },
    gradients: { x: 'dx', weight: 'dWeight' },
    output: ['loss', ''],
  },
  linearLogProbabilities: {
    forward: 'linearLogProbabilities',
    backward: 'linearLogProbabilitiesInputBackward',
    inputs: { x: random('x', [6, 4]), weight: random('w', [7, 4]), targets: pairTargets },
    attributes: logProbabilityAttributes,
    gradients: { x: 'dx' },
    output: ['logProbabilities', 'dLogProbabilities'],
    kept: ['lse'],
  },
  'linearLogProbabilities, its weight': {
    forward: 'linearLogProbabilities',
    backward: 'linearLogProbabilitiesWeightBackward',
    inputs: { x: random('x', [6, 4]), weight: random('w', [7, 4]), targets: pairTargets },
    attributes: { ...logProbabilityAttributes, softCap: 1.5 },
    gradients: { weight: 'dWeight' },
    output: ['logProbabilities', 'dLogProbabilities'],
    kept: ['lse'],
  },
  preferenceLoss: {
    forward: 'preferenceLoss',
    backward: 'preferenceLossBackward',
    inputs: {
      logProbabilities: random('logProbabilities', [8], 9),
      reference: tensor([8], [-3, 2, -1, -4, -5, NaN, 0, 1]),
    },
    attributes: { beta: 0.3, labelSmoothing: 0.1, lossScale: 0.25 },
    gradients: { logProbabilities: 'dLogProbabilities' },
    output: ['loss', ''],
  },
  squaredError: {
    forward: 'squaredError',
    backward: 'squaredErrorBackward',
    inputs: { predictions: random('predictions', [5]), targets: tensor([5], [3, 0, NaN, 6, 3]) },
    attributes: { lossScale: 0.25 },
    gradients: { predictions: 'dPredictions' },
    output: ['loss', ''],
  },
  'linearCrossEntropy, weight frozen': {
    forward: 'linearCrossEntropy',
    backward: 'linearCrossEntropyInputBackward',
    inputs: { x: random('x', [5, 4]), weight: random('w', [7, 4]), targets },
    attributes: lossAttributes,
    gradients: { x: 'dx' },
    output: ['loss', ''],
  },
};

describe('twins of backward ops are the gradients of the forward twins', () => {
  test.each(Object.entries(cases))('%s', (_, spec) => {
    const [output, gradientName] = spec.output ?? ['y', 'dy'];
    const forward = (inputs: Inputs) => computeTwin(spec.forward, inputs, spec.attributes);
    const outputs = forward(spec.inputs);
    const direction = gradientName === '' ? tensor([1], [1]) : random('dy', outputs[output]!.shape);
    const kept = Object.fromEntries((spec.kept ?? []).map((name) => [name, outputs[name]!]));
    const own = spec.output?.[1] === 'x' ? without(spec.inputs, 'x') : spec.inputs;
    const backwardInputs = { ...own, ...kept, ...(gradientName && { [gradientName]: direction }) };
    const backward = computeTwin(spec.backward, backwardInputs, spec.backwardAttributes ?? spec.attributes);
    if (output === 'loss') expect(backward.loss).toEqual(outputs.loss);
    for (const [input, gradient] of Object.entries(spec.gradients)) {
      const objective = (changed: Tensor) => {
        const { data } = forward({ ...spec.inputs, [input]: changed })[output]!;
        return data.reduce((sum, value, i) => sum + value * direction.data[i]!, 0);
      };
      const x = spec.inputs[input]!;
      const slopes = Array.from(x.data, (_, i) => centralDifference(x, i, objective));
      slopes.forEach((slope, i) => expect(backward[gradient]!.data[i]).toBeCloseTo(slope, 7));
      expect(backward[gradient]!.data.length).toBe(slopes.length);
    }
  });
});

test('the residual gradient is added to the gradient of rmsNorm', () => {
  const { inputs, attributes } = cases.rmsNorm!;
  const { rstd } = computeTwin('rmsNorm', inputs, attributes);
  const dy = random('dy', [4, 7]);
  const residualGradient = random('residual', [4, 7]);
  const plain = computeTwin('rmsNormBackward', { ...inputs, rstd, dy }, attributes);
  const both = computeTwin('rmsNormBackward', { ...inputs, rstd, dy, residualGradient }, attributes);
  both.dx!.data.forEach((value, i) => expect(value).toBe(plain.dx!.data[i]! + residualGradient.data[i]!));
});

const without = (inputs: Inputs, name: string): Inputs =>
  Object.fromEntries(Object.entries(inputs).filter(([key]) => key !== name));

/** Fourth-order central difference; the step balances truncation and rounding near 1e-11. */
function centralDifference(x: Tensor, index: number, f: (x: Tensor) => number): number {
  const step = 1e-3;
  const at = (offset: number) => {
    const data = x.data.slice();
    data[index]! += offset * step;
    return f({ ...x, data });
  };
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step);
}
