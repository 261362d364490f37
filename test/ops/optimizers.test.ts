import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { encodedState } from '../reference/dynamic-map.js';
import { computeTwin, mapElements, type Tensor, tensor } from '../reference/index.js';

const shapes = [[1], [2], [31], [33, 2], [3, 41], [123], [9, 123], [4097]];
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-6 };
const states = (shape: readonly number[]) => ({
  gradient: randomTensor('gradient', shape, 0.1),
  expAvg: randomTensor('expAvg', shape, 0.01),
  expAvgSq: mapElements(randomTensor('expAvgSq', shape, 0.1), (value) => value * value),
});
const gradientScale = tensor([1], [0.25]);
const zeroes = (shape: readonly number[]) => ({ expAvg: tensor(shape), expAvgSq: tensor(shape) });

/** Moments as codes, by the twin from numbers of both signs; a block of zeros among them where there are many. */
function encodedMoments(shape: readonly number[]) {
  const { expAvg, expAvgSq } = states(shape);
  const withZeros = (x: Tensor) => mapElements(x, (value, i) => (i >= 512 && i < 768 ? 0 : value));
  const first = encodedState(withZeros(expAvg), 'signed');
  const second = encodedState(withZeros(expAvgSq), 'unsigned');
  return {
    expAvg: first.codes,
    expAvgSq: second.codes,
    expAvgScales: first.scales,
    expAvgSqScales: second.scales,
  };
}

describeOps('adamDirection', () =>
  shapes.flatMap((shape) => [
    ...opCases(
      {
        op: 'adamDirection',
        label: '8-bit states, clipped',
        inputs: { ...states(shape), ...encodedMoments(shape), gradientScale },
        attributes: { ...adam, firstMomentStep: 3, secondMomentStep: 40 },
      },
      ['f32 u8 f32', 'bf16 u8 bf16'],
    ),
    ...opCases({
      op: 'adamDirection',
      inputs: states(shape),
      attributes: { ...adam, firstMomentStep: 3, secondMomentStep: 40 },
    }),
    ...opCases({
      op: 'adamDirection',
      label: 'clipped',
      inputs: { ...states(shape), gradientScale },
      attributes: { ...adam, firstMomentStep: 40, secondMomentStep: 40 },
    }),
    ...opCases(
      {
        op: 'adamDirection',
        label: 'first step, on the gradient',
        inputs: { ...states(shape), ...zeroes(shape) },
        attributes: { ...adam, firstMomentStep: 1, secondMomentStep: 1 },
        inPlace: { direction: 'gradient' },
      },
      ['f32 f32 f32', 'bf16 f32 bf16', 'f32 bf16 f32', 'bf16 bf16 bf16'],
    ),
  ]),
);

const decay = { learningRate: 0.01, weightDecay: 0.1 };

describeOps('adamW', () =>
  shapes.flatMap((shape) => {
    const inputs = { weight: randomTensor('weight', shape), ...states(shape) };
    return [
      ...opCases({ op: 'adamW', inputs, attributes: { ...adam, ...decay, step: 7 } }),
      ...opCases(
        {
          op: 'adamW',
          label: '8-bit states',
          inputs: { ...inputs, ...encodedMoments(shape) },
          attributes: { ...adam, ...decay, step: 7 },
        },
        ['f32 f32 u8', 'bf16 f32 u8', 'bf16 bf16 u8'],
      ),
      ...opCases({
        op: 'adamW',
        label: 'first step, clipped, scaled',
        inputs: { ...inputs, ...zeroes(shape), gradientScale },
        attributes: { ...adam, learningRate: 0.02, updateScale: 0.125, step: 1 },
      }),
    ];
  }),
);

describeOps('sgd', () =>
  shapes.flatMap((shape) => {
    const inputs = { weight: randomTensor('weight', shape), gradient: randomTensor('gradient', shape) };
    const momentum = randomTensor('momentum', shape);
    return [
      ...opCases({ op: 'sgd', inputs, attributes: { learningRate: 0.1 } }),
      ...opCases({
        op: 'sgd',
        label: 'with momentum',
        inputs: { ...inputs, momentum },
        attributes: { ...decay, momentumFactor: 0.9 },
      }),
      ...opCases({
        op: 'sgd',
        label: 'with momentum, Nesterov, clipped, scaled',
        inputs: { ...inputs, momentum, gradientScale },
        attributes: { ...decay, momentumFactor: 0.5, nesterov: 1, updateScale: 0.25 },
      }),
    ];
  }),
);

describeOps('momentum', () =>
  shapes.flatMap((shape) => {
    const inputs = { gradient: randomTensor('gradient', shape), buffer: randomTensor('buffer', shape) };
    return [
      ...opCases({ op: 'momentum', inputs, attributes: { factor: 0.9 } }),
      ...opCases({
        op: 'momentum',
        label: 'without a buffer, clipped',
        inputs: { gradient: inputs.gradient, gradientScale },
        attributes: { factor: 0.9, dampening: 0.5 },
      }),
      ...opCases({
        op: 'momentum',
        label: 'average, Nesterov, clipped',
        inputs: { ...inputs, gradientScale },
        attributes: { factor: 0.95, dampening: 0.95, nesterov: 1 },
      }),
      ...opCases(
        {
          op: 'momentum',
          label: 'on the gradient',
          inputs,
          attributes: { factor: 0.5, nesterov: 1 },
          inPlace: { direction: 'gradient' },
        },
        ['f32 f32 f32', 'bf16 f32 bf16', 'f32 bf16 f32', 'bf16 bf16 bf16'],
      ),
    ];
  }),
);

describeOps('lionDirection', () =>
  shapes.flatMap((shape) => {
    const inputs = { gradient: randomTensor('gradient', shape), average: randomTensor('average', shape) };
    const zero = mapElements(inputs.gradient, (value, i) => (i % 3 === 0 ? 0 : value));
    return [
      ...opCases({ op: 'lionDirection', inputs, attributes: { beta1: 0.9, beta2: 0.99 } }),
      ...opCases({
        op: 'lionDirection',
        label: 'clipped',
        inputs: { ...inputs, gradientScale },
        attributes: { beta1: 0.5, beta2: 0.9 },
      }),
      ...opCases(
        {
          op: 'lionDirection',
          label: 'of zeros, on the gradient',
          inputs: { gradient: zero, average: tensor(shape) },
          attributes: { beta1: 0.9, beta2: 0.99 },
          inPlace: { direction: 'gradient' },
        },
        ['f32 f32 f32', 'bf16 f32 bf16', 'f32 bf16 f32', 'bf16 bf16 bf16'],
      ),
    ];
  }),
);

describeOps('divideByNorm', () =>
  [
    [1, 1],
    [2, 31],
    [31, 2],
    [9, 123],
    [123, 9],
    [1100, 5],
    [3, 1100],
  ].flatMap((shape) =>
    [0, 1, 2].flatMap((of) => {
      const x = randomTensor('x', shape);
      // Every other column, or row, is nearly zero, so that its norm is below epsilon.
      const channel = (i: number): number => (of === 2 ? Math.floor(i / shape[1]!) : i % shape[1]!);
      const small = mapElements(x, (value, i) => (channel(i) % 2 === 0 ? 1e-6 * value : value));
      return [
        ...opCases({
          op: 'divideByNorm',
          inputs: { x },
          attributes: { of, epsilon: 1e-8, factor: 3 },
        }),
        ...opCases({
          op: 'divideByNorm',
          label: 'with small columns or rows',
          inputs: { x: small },
          attributes: { of, epsilon: 1e-3 },
        }),
        ...opCases(
          {
            op: 'divideByNorm',
            label: 'of zeros, on x',
            inputs: { x: tensor(shape) },
            attributes: { of, epsilon: 1e-8 },
            inPlace: { y: 'x' },
          },
          ['f32 f32', 'bf16 bf16'],
        ),
        ...opCases(
          {
            op: 'divideByNorm',
            label: 'on x',
            inputs: { x },
            attributes: { of, epsilon: 1e-8 },
            inPlace: { y: 'x' },
          },
          ['f32 f32', 'bf16 bf16'],
        ),
      ];
    }),
  ),
);

describeOps('weightUpdate', () =>
  shapes.flatMap((shape) => {
    const inputs = { weight: randomTensor('weight', shape), direction: randomTensor('direction', shape) };
    return [
      ...opCases({ op: 'weightUpdate', inputs, attributes: { ...decay, updateScale: 0.25 } }),
      ...opCases({
        op: 'weightUpdate',
        label: 'clipped',
        inputs: { ...inputs, gradientScale },
        attributes: { learningRate: 0.1 },
      }),
    ];
  }),
);

describeOps('adafactorDirection', () =>
  [[1], [31], [1, 7], [33, 2], [3, 41], [9, 123], [70, 65]].flatMap((shape) => {
    const [n, m] = shape.length === 1 ? [1, shape[0]!] : (shape as [number, number]);
    const squared = (name: string, size: number) =>
      mapElements(randomTensor(name, [size], 0.1), (value) => value * value);
    const inputs = {
      gradient: randomTensor('gradient', shape, 0.1),
      rows: squared('rows', n),
      columns: squared('columns', m),
    };
    const constants = { decayExponent: 0.8, epsilon: 1e-30, clipThreshold: 1 };
    return [
      ...opCases({ op: 'adafactorDirection', inputs, attributes: { ...constants, step: 7 } }),
      ...opCases(
        {
          op: 'adafactorDirection',
          label: 'first step, on the gradient, scaled by a parameter, clipped',
          inputs: {
            ...inputs,
            rows: tensor([n]),
            columns: tensor([m]),
            parameter: randomTensor('parameter', [3, 50], 0.2),
            gradientScale,
          },
          attributes: { ...constants, step: 1, leastParameter: 1e-3 },
          inPlace: { direction: 'gradient' },
        },
        ['f32 f32 f32', 'bf16 f32 bf16', 'f32 bf16 f32'],
      ),
    ];
  }),
);

describeOps('weightUpdateInt8', () =>
  shapes.flatMap((shape) =>
    [8, 32, 100, 2048].flatMap((groupSize) => {
      // Some groups are all zero; some leave their range, and some shrink to a part of it.
      const x = mapElements(randomTensor('weight', shape), (w, i) => (i % 512 < 384 ? w : 0));
      const direction = mapElements(randomTensor('direction', shape), (d, i) => (i % 256 < 100 ? 20 * d : d));
      const inputs = { ...computeTwin('quantize', { x }, { groupSize }), direction };
      const attributes = { groupSize, step: 3, roundingSeed: 5, tensorId: 7 };
      return [
        ...opCases({
          op: 'weightUpdateInt8',
          inputs,
          attributes: { ...attributes, learningRate: 0.01, weightDecay: 0.1, updateScale: 0.25 },
        }),
        ...opCases({
          op: 'weightUpdateInt8',
          label: 'clipped, decaying fast',
          inputs: { ...inputs, gradientScale },
          attributes: { ...attributes, learningRate: 0.5, weightDecay: 1.5 },
        }),
      ];
    }),
  ),
);

describeOps('sumOfSquares and gradientNorm', () => [
  ...shapes.flatMap((shape) =>
    opCases({
      op: 'sumOfSquares',
      inputs: { x: randomTensor('x', shape), partials: randomTensor('partials', [5]) },
      attributes: { index: 3 },
    }),
  ),
  ...[1, 2, 33, 1024].flatMap((count) =>
    [0, 0.5, 1e6].flatMap((maxNorm) =>
      opCases({
        op: 'gradientNorm',
        label: `at most ${maxNorm}`,
        inputs: { partials: mapElements(randomTensor('partials', [count]), Math.abs) },
        attributes: { maxNorm },
      }),
    ),
  ),
]);
