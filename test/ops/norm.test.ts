import { describe, expect, test } from '@jest/globals';
import { describeOps, plannedCases, runOps } from '../helpers/describe-ops.js';
import { machines, withEngine } from '../helpers/machines.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { outputOf } from '../helpers/op-plan.js';
import { randomTensor } from '../helpers/random.js';
import { rounded } from '../helpers/storage.js';
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
    [0, 1].flatMap((weightOffset) =>
      opCases({
        op: 'rmsNorm',
        label: `weight + ${weightOffset}`,
        inputs: inputsOf(tokens, width),
        attributes: { epsilon, weightOffset },
      }),
    ),
  ),
);

/** Inputs of a norm and the residual addition in front of it; what is lost by rounding the sum is not nothing. */
const residualInputsOf = (tokens: number, width: number) => ({
  a: mapElements(randomTensor('a', [tokens, width], 2), (value) => value + 0.5),
  b: randomTensor('b', [tokens, width], 0.3),
  weight: inputsOf(tokens, width).weight,
});

describeOps('addRmsNorm', () =>
  shapes.flatMap(([tokens, width]) => {
    const places: Record<string, string>[] = [
      {},
      { sum: 'a' },
      { sum: 'b' },
      { y: 'a' },
      { sum: 'a', y: 'b' },
      { sum: 'b', y: 'a' },
    ];
    const inputs = residualInputsOf(tokens, width);
    return places.flatMap((inPlace, place) =>
      opCases({
        op: 'addRmsNorm',
        label: JSON.stringify(inPlace),
        inputs,
        attributes: { epsilon, weightOffset: place % 2 },
        inPlace,
      }),
    );
  }),
);

describe('addRmsNorm has the bits of add and then rmsNorm', () => {
  /** The three ops; the norm's input is the sum as `add` must store it. */
  const triple = (tokens: number, width: number, dtype: 'f32' | 'bf16'): readonly OpCase[] => {
    const { weight, ...unrounded } = residualInputsOf(tokens, width);
    const [a, b] = [rounded(unrounded.a, dtype), rounded(unrounded.b, dtype)];
    const x = mapElements(a, (value, i) => value + b.data[i]!);
    const attributes = { epsilon };
    return [
      ...opCases({ op: 'addRmsNorm', inputs: { a, b, weight }, attributes }, [dtype]),
      ...opCases({ op: 'add', inputs: { a, b } }, [dtype]),
      ...opCases({ op: 'rmsNorm', inputs: { x, weight }, attributes }, [dtype]),
    ];
  };

  test.each(machines)('%s', async (machine) => {
    const triples = shapes.flatMap(([tokens, width]) =>
      (['f32', 'bf16'] as const).map((dtype) => triple(tokens, width, dtype)),
    );
    const planned = plannedCases(triples.flat(), machine);
    await withEngine(machine, 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      const found = (index: number, name: string) => outputOf(planned.cases[index]!, name, after);
      for (const [index, [fused, , norm]] of triples.entries()) {
        const [both, adding, norming] = [3 * index, 3 * index + 1, 3 * index + 2];
        const sum = found(adding, 'y');
        expect(sum).toEqual(norm!.inputs[0]!.values!.data);
        const { name } = fused!;
        expect({ name, sum: found(both, 'sum'), y: found(both, 'y'), rstd: found(both, 'rstd') }).toEqual({
          name,
          sum,
          y: found(norming, 'y'),
          rstd: found(norming, 'rstd'),
        });
      }
    });
  });
});

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
      ...backward('weight + 1', {}, { attributes: { weightOffset: 1 } }),
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
