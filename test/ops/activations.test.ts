import { describeOps } from '../helpers/describe-ops.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { computeTwin, mapElements, type Tensor } from '../reference/index.js';

const shapes = [[1], [2], [31], [32, 1], [3, 11], [41, 3], [123, 33], [4097]];

/** Mostly ordinary values, and some far in both tails. */
const wide = (name: string, shape: readonly number[]): Tensor =>
  mapElements(randomTensor(name, shape, 2), (value, i) => (i % 7 === 3 ? value * 20 : value));

describeOps('silu and gelu', () =>
  shapes.flatMap((shape) => {
    const x = wide('x', shape);
    const dy = randomTensor('dy', shape);
    const both = (op: string, attributes = {}) => [
      ...opCases({ op, label: JSON.stringify(attributes), inputs: { x }, attributes }),
      ...opCases({
        op,
        label: `in place ${JSON.stringify(attributes)}`,
        inputs: { x },
        attributes,
        inPlace: { y: 'x' },
      }),
      ...[{}, { dx: 'x' }, { dx: 'dy' }].flatMap((inPlace) =>
        opCases({
          op: `${op}Backward`,
          label: `${JSON.stringify(inPlace)} ${JSON.stringify(attributes)}`,
          inputs: { x, dy },
          attributes,
          inPlace: inPlace as Record<string, string>,
        }),
      ),
    ];
    return [...both('silu'), ...both('gelu', { approximate: 0 }), ...both('gelu', { approximate: 1 })];
  }),
);

describeOps('segments', () =>
  shapes.flatMap((shape) => {
    // Some elements are thresholds themselves, which are below nothing.
    const x = mapElements(wide('x', shape), (value, i) => (i % 5 === 4 ? [-1.5, 0.25, 3][i % 3]! : value));
    const thresholds = { threshold1: -1.5, threshold2: 0.25, threshold3: 3 };
    const { codes } = computeTwin('segments', { x }, thresholds);
    const inputs = { codes, dy: randomTensor('dy', shape) };
    const slopes = { slope1: -0.3, slope2: 1.1, slope3: 0.7 };
    return [
      ...opCases({ op: 'segments', inputs: { x }, attributes: thresholds }),
      ...[{}, { dx: 'dy' }].flatMap((inPlace) =>
        opCases({
          op: 'segmentsBackward',
          label: JSON.stringify(inPlace),
          inputs,
          attributes: slopes,
          inPlace: inPlace as Record<string, string>,
        }),
      ),
    ];
  }),
);

describeOps('tanh', () =>
  shapes.flatMap((shape) => {
    const x = wide('x', shape);
    const dy = randomTensor('dy', shape);
    return [1, 1.5].flatMap((cap) => {
      const y = mapElements(x, (value) => cap * Math.tanh(value / cap));
      const attributes = { cap };
      return [
        ...opCases({ op: 'tanh', label: `capped at ${cap}`, inputs: { x }, attributes }),
        ...opCases({ op: 'tanh', label: `in place ${cap}`, inputs: { x }, attributes, inPlace: { y: 'x' } }),
        ...[{}, { dx: 'y' }, { dx: 'dy' }].flatMap((inPlace) =>
          opCases({
            op: 'tanhBackward',
            label: `${JSON.stringify(inPlace)} ${cap}`,
            inputs: { y, dy },
            attributes,
            inPlace: inPlace as Record<string, string>,
          }),
        ),
      ];
    });
  }),
);

describeOps('swiglu and geglu', () =>
  ['swiglu', 'geglu'].flatMap((op) => shapes.flatMap((shape) => gatedCases(op, shape))),
);

function gatedCases(op: string, shape: readonly number[]): OpCase[] {
  const inputs = { gate: wide('gate', shape), up: randomTensor('up', shape) };
  const dy = randomTensor('dy', shape);
  const forward = [{}, { y: 'gate' }, { y: 'up' }];
  const backward = [
    {},
    { dGate: 'gate', dUp: 'up' },
    { dGate: 'dy', dUp: 'up' },
    { dGate: 'gate', dUp: 'dy' },
  ];
  return [
    ...forward.flatMap((inPlace) =>
      opCases({
        op,
        label: JSON.stringify(inPlace),
        inputs,
        inPlace: inPlace as Record<string, string>,
      }),
    ),
    ...backward.flatMap((inPlace) =>
      opCases({
        op: `${op}Backward`,
        label: JSON.stringify(inPlace),
        inputs: { ...inputs, dy },
        inPlace: inPlace as Record<string, string>,
      }),
    ),
  ];
}
