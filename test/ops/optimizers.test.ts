import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { mapElements, tensor } from '../reference/index.js';

const shapes = [[1], [2], [31], [33, 2], [3, 41], [123], [9, 123], [4097]];
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-6 };
const states = (shape: readonly number[]) => ({
  gradient: randomTensor('gradient', shape, 0.1),
  expAvg: randomTensor('expAvg', shape, 0.01),
  expAvgSq: mapElements(randomTensor('expAvgSq', shape, 0.1), (value) => value * value),
});
const gradientScale = tensor([1], [0.25]);
const zeroes = (shape: readonly number[]) => ({ expAvg: tensor(shape), expAvgSq: tensor(shape) });

describeOps('adamDirection', () =>
  shapes.flatMap((shape) => [
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
        label: 'with momentum, clipped',
        inputs: { ...inputs, momentum, gradientScale },
        attributes: { ...decay, momentumFactor: 0.5 },
      }),
    ];
  }),
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
