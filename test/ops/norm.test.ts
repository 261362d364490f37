import { describeOps } from '../helpers/describe-ops.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { computeTwin, type Inputs, mapElements } from '../reference/index.js';

const shapes: readonly (readonly [tokens: number, width: number])[] = [
  [1, 1],
  [2, 31],
  [41, 32],
  [123, 33],
  [3, 1024],
  [1, 4097],
  [1024, 5],
];
const epsilon = 1e-6;

/** Inputs of both norms; a row's mean is well away from zero, as after a residual branch. */
const inputsOf = (tokens: number, width: number) => ({
  x: mapElements(randomTensor('x', [tokens, width], 2), (value) => value + 0.5),
  weight: mapElements(randomTensor('weight', [width], 0.1), (value) => value + 1),
});

describeOps('rmsNorm', () =>
  shapes.flatMap(([tokens, width]) =>
    opCases({ op: 'rmsNorm', inputs: inputsOf(tokens, width), attributes: { epsilon } }),
  ),
);

describeOps('rmsNormBackward', () =>
  shapes.flatMap(([tokens, width]) => {
    const forward = inputsOf(tokens, width);
    const { rstd } = computeTwin('rmsNorm', forward, { epsilon });
    const dy = randomTensor('dy', [tokens, width]);
    const residualGradient = randomTensor('residual', [tokens, width]);
    const accumulator = randomTensor('accumulator', [width]);
    const inputs = { ...forward, rstd, dy };
    const backward = (label: string, more: Inputs, options: object = {}): OpCase[] =>
      opCases({ op: 'rmsNormBackward', label, inputs: { ...inputs, ...more }, ...options });
    return [
      ...backward('plain', {}),
      ...backward('with a residual gradient', { residualGradient }),
      ...backward('overwriting', { accumulator }, { attributes: { accumulate: 0 } }),
      ...backward('added', { residualGradient, accumulator }, { attributes: { accumulate: 1 } }),
      ...backward('dx on dy', {}, { inPlace: { dx: 'dy' } }),
      ...backward(
        'dx on the residual gradient',
        { residualGradient },
        { inPlace: { dx: 'residualGradient' } },
      ),
    ];
  }),
);

describeOps('layerNorm', () =>
  shapes
    .filter(([, width]) => width > 1) // a row of one element is its own mean: nothing but epsilon is left
    .flatMap(([tokens, width]) => {
      const forward = { ...inputsOf(tokens, width), bias: randomTensor('bias', [width]) };
      const { mean, rstd } = computeTwin('layerNorm', forward, { epsilon });
      const { x, weight } = forward;
      const dy = randomTensor('dy', [tokens, width]);
      const accumulators = {
        accumulator: randomTensor('accumulator', [width]),
        biasAccumulator: randomTensor('biasAccumulator', [width]),
      };
      const backward = (label: string, more: Inputs, accumulate: number): OpCase[] =>
        opCases({
          op: 'layerNormBackward',
          label,
          inputs: { x, weight, mean, rstd, dy, ...more },
          attributes: { accumulate },
        });
      return [
        ...opCases({ op: 'layerNorm', inputs: forward, attributes: { epsilon } }),
        ...backward('plain', {}, 0),
        ...backward('overwriting', accumulators, 0),
        ...backward('added', accumulators, 1),
      ];
    }),
);
