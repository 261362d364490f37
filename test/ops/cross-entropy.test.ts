import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { computeTwin, mapElements, type Tensor, tensor } from '../reference/index.js';

/** About one target in four does not count. */
const targetsOf = (tokens: number, classes: number, ignoreIndex: number): Tensor =>
  mapElements(randomIntegers('targets', [tokens], 4 * classes), (value) =>
    value >= 3 * classes ? ignoreIndex : value % classes,
  );

describeOps('crossEntropy', () =>
  [
    [1, 1],
    [2, 31],
    [41, 33],
    [123, 5],
    [7, 1024],
    [2, 4097],
  ].flatMap(([tokens, classes]) =>
    [-100, 0].flatMap((ignoreIndex) => {
      const inputs = {
        logits: randomTensor('logits', [tokens!, classes!], 4),
        targets: targetsOf(tokens!, classes!, ignoreIndex),
      };
      const attributes = { lossScale: 1 / tokens!, ignoreIndex };
      return [
        ...opCases({ op: 'crossEntropy', label: `ignoring ${ignoreIndex}`, inputs, attributes }),
        ...opCases({ op: 'crossEntropyBackward', label: `ignoring ${ignoreIndex}`, inputs, attributes }),
      ];
    }),
  ),
);

describeOps('squaredError', () =>
  [[1], [2], [31, 1], [300]].flatMap((shape) => {
    const inputs = {
      predictions: randomTensor('predictions', shape, 3),
      // About one in three has none.
      targets: mapElements(randomTensor('targets', shape), (value) => (value > 0.5 ? NaN : value)),
    };
    const attributes = { lossScale: 0.3 };
    return ['squaredError', 'squaredErrorBackward'].flatMap((op) => opCases({ op, inputs, attributes }));
  }),
);

describeOps(
  'linearCrossEntropy',
  () =>
    [
      [1, 1, 1, 1024],
      [2, 31, 33, 1],
      [41, 32, 31, 16], // a short last chunk
      [33, 9, 123, 32],
      [20, 72, 257, 7],
      [3, 5, 1025, 2],
      [9, 31, 65, 4, 1.5], // logits of about the size of the cap
    ].flatMap(([tokens, width, vocabulary, chunkTokens, softCap = 0]) => {
      const weightShape = [vocabulary!, width!];
      const inputs = {
        x: randomTensor('x', [tokens!, width!]),
        weight: randomTensor('weight', weightShape, 2 / Math.sqrt(width!)),
        targets: targetsOf(tokens!, vocabulary!, -100),
      };
      const attributes = { lossScale: 1 / tokens!, chunkTokens: chunkTokens!, softCap };
      const accumulator = randomTensor('accumulator', weightShape);
      const label = `in chunks of ${chunkTokens}${softCap ? `, capped at ${softCap}` : ''}`;
      const op = 'linearCrossEntropyBackward';
      const backward = [
        { op, label, inputs, attributes },
        ...[0, 1].map((accumulate) => ({
          op,
          label: `${label}, ${accumulate ? 'added' : 'overwriting'}`,
          inputs: { ...inputs, accumulator },
          attributes: { ...attributes, accumulate },
        })),
      ];
      // Each chunk rounds a bf16 sum of its values so far, which are no larger than about 4: half a last place each.
      const absolute = { dWeight: Math.ceil(tokens! / chunkTokens!) * 4 * 2 ** -9 };
      return [
        ...opCases({ op: 'linearCrossEntropy', label, inputs, attributes }),
        ...opCases({ op: 'linearCrossEntropyInputBackward', label, inputs, attributes }),
        ...backward.flatMap((options) => opCases(options, ['f32 f32', 'bf16 f32'])),
        ...backward.flatMap((options) => opCases({ ...options, absolute }, ['f32 bf16', 'bf16 bf16'])),
      ];
    }),
  // Tiles of 128 x 128 for each chunk of a few tokens; the wide vocabularies are in the C++ tests.
  { emulated: ({ inputs }) => inputs[1]!.values!.data.length < 2000 },
);

describeOps(
  'linearCrossEntropyRowsBackward',
  () =>
    [
      [1, 1, 1, 1, 0, 1024],
      [2, 31, 33, 5, 28, 1],
      [41, 32, 70, 31, 16, 16], // a short last chunk
      [20, 72, 300, 257, 0, 7],
      [33, 9, 123, 61, 62, 32],
      [9, 31, 65, 33, 20, 4, 1.5],
    ].flatMap(([tokens, width, vocabulary, rows, first, chunkTokens, softCap = 0]) => {
      const x = randomTensor('x', [tokens!, width!]);
      const whole = randomTensor('weight', [vocabulary!, width!], 2 / Math.sqrt(width!));
      const targets = targetsOf(tokens!, vocabulary!, -100);
      const shared = { lossScale: 1 / tokens!, chunkTokens: chunkTokens!, ignoreIndex: -100, softCap };
      const { lse } = computeTwin('linearCrossEntropyInputBackward', { x, weight: whole, targets }, shared);
      const weight = tensor([rows!, width!], whole.data.slice(first! * width!, (first! + rows!) * width!));
      const options = {
        op: 'linearCrossEntropyRowsBackward',
        label: `${rows} rows from ${first}, in chunks of ${chunkTokens}`,
        inputs: { x, weight, targets, lse },
        attributes: { ...shared, first: first! },
      };
      // Each chunk rounds a bf16 sum of its values so far, which are no larger than about 4: half a last place each.
      const absolute = { dWeight: Math.ceil(tokens! / chunkTokens!) * 4 * 2 ** -9 };
      return [
        ...opCases(options, ['f32 f32', 'bf16 f32']),
        ...opCases({ ...options, absolute }, ['f32 bf16', 'bf16 bf16']),
      ];
    }),
  { emulated: ({ inputs }) => inputs[1]!.values!.data.length < 2000 },
);

describeOps(
  'linearCrossEntropyInt8',
  () =>
    [
      [1, 1, 2, 1024],
      [41, 32, 31, 16],
      [20, 72, 258, 7],
    ].flatMap(([tokens, width, vocabulary, chunkTokens]) => {
      const shape = [vocabulary!, width!];
      const weight = randomTensor('weight', shape, 2 / Math.sqrt(width!));
      const groupSize = 32;
      const x = randomTensor('x', [tokens!, width!]);
      const targets = targetsOf(tokens!, vocabulary!, -100);
      const attributes = { lossScale: 1 / tokens!, chunkTokens: chunkTokens!, groupSize };
      const codes = computeTwin('quantize', { x: weight }, { groupSize });
      return [
        ...['linearCrossEntropyInt8', 'linearCrossEntropyInt8Backward'].flatMap((op) =>
          opCases({ op, inputs: { x, ...codes, targets }, attributes }),
        ),
      ];
    }),
  { emulated: ({ inputs }) => inputs[1]!.values!.data.length < 2000 },
);

describeOps(
  'linearLogProbabilities',
  () =>
    [
      [1, 1, 1, 1, 1, 0, 1024],
      [2, 1, 31, 33, 5, 28, 1],
      [2, 21, 32, 70, 31, 16, 16], // a short last chunk, and chunks that end within a sequence
      [4, 5, 72, 300, 257, 0, 7],
      [6, 3, 9, 123, 61, 62, 32],
      [2, 5, 31, 65, 33, 20, 4, 1.5], // logits of about the size of the cap
    ].flatMap(([sequences, sequenceLength, width, vocabulary, rows, first, chunkTokens, softCap = 0]) => {
      const tokens = sequences! * sequenceLength!;
      const x = randomTensor('x', [tokens, width!]);
      const whole = randomTensor('weight', [vocabulary!, width!], 2 / Math.sqrt(width!));
      const targets = targetsOf(tokens, vocabulary!, -100);
      const attributes = { sequenceLength: sequenceLength!, chunkTokens: chunkTokens!, softCap };
      const inputs = { x, weight: whole, targets };
      const { lse } = computeTwin('linearLogProbabilities', inputs, { ...attributes, ignoreIndex: -100 });
      const dLogProbabilities = randomTensor('dLogProbabilities', [sequences!]);
      const weight = tensor([rows!, width!], whole.data.slice(first! * width!, (first! + rows!) * width!));
      const label = `of ${sequences} sequences in chunks of ${chunkTokens}`;
      const backward = {
        op: 'linearLogProbabilitiesWeightBackward',
        label: `${rows} rows from ${first} ${label}`,
      };
      const accumulator = randomTensor('accumulator', weight.shape);
      const ofWeight = [undefined, 0, 1].map((accumulate) => ({
        ...backward,
        label: `${backward.label}${accumulate === undefined ? '' : accumulate ? ', added' : ', overwriting'}`,
        inputs: {
          x,
          weight,
          targets,
          lse,
          dLogProbabilities,
          ...(accumulate !== undefined && { accumulator }),
        },
        attributes: { ...attributes, first: first!, accumulate: accumulate ?? 0 },
      }));
      // Each chunk rounds a bf16 sum of its values so far, which are no larger than about 16: half a last place each.
      const absolute = { dWeight: Math.ceil(tokens / chunkTokens!) * 16 * 2 ** -9 };
      return [
        ...opCases({ op: 'linearLogProbabilities', label, inputs, attributes }),
        ...opCases({
          op: 'linearLogProbabilitiesInputBackward',
          label,
          inputs: { ...inputs, lse, dLogProbabilities },
          attributes,
        }),
        ...ofWeight.flatMap((options) => opCases(options, ['f32 f32', 'bf16 f32'])),
        ...ofWeight.flatMap((options) => opCases({ ...options, absolute }, ['f32 bf16', 'bf16 bf16'])),
      ];
    }),
  { emulated: ({ inputs }) => inputs[1]!.values!.data.length < 2000 },
);

describeOps('preferenceLoss', () =>
  [2, 4, 600].flatMap((sequences) =>
    [
      { beta: 0.1, labelSmoothing: 0, lossScale: 0.5 },
      { beta: 3, labelSmoothing: 0.2, lossScale: 1 }, // far out on both sides of the sigmoid
    ].flatMap((attributes) => {
      const inputs = {
        logProbabilities: randomTensor('logProbabilities', [sequences], 20),
        // About one in six is not there.
        reference: mapElements(randomTensor('reference', [sequences], 20), (value) =>
          sequences > 2 && value > 19 ? NaN : value,
        ),
      };
      return ['preferenceLoss', 'preferenceLossBackward'].flatMap((op) =>
        opCases({ op, label: `of beta ${attributes.beta}`, inputs, attributes }),
      );
    }),
  ),
);
