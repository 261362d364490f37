/** Codes that the host makes of weights are those that the ops make, to the bit. */
import { expect, test } from '@jest/globals';
import { encodeInt8, encodeNf4 } from '../../lib/methods/weights/encode.js';
import { evenRows } from '../../lib/train/weights/tensor-elements.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { runOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { opPlan, outputOf } from '../helpers/op-plan.js';
import { randomTensor } from '../helpers/random.js';
import { mapElements, type Tensor } from '../reference/index.js';

const middles = [-0.8480964004993439, 0.03979014977812767, 0.4642857313156128, 0.8614784181118011];

/** Weights of all kinds: groups of zeros, of tiny and of huge numbers, and numbers on the middle of two levels. */
const hard = (shape: number[]): Tensor =>
  mapElements(randomTensor('x', shape), (value, i) => {
    const group = Math.floor(i / 64) % 9;
    if (group === 0) return 0;
    if (group === 1) return value * 1e-40;
    if (group === 2) return value * 1e37;
    if (group === 3) return value * 1e-45;
    // Some are the largest of their block, others the middle of two codes or levels.
    if (group === 4) return i % 64 === 0 ? 1 : middles[i % 4]!;
    if (group === 5) return i % 64 === 0 ? 127 : (i % 127) - 62.5;
    return Object.is(Math.round(value), -0) ? -0 : value;
  });

const shapes = [
  [1, 2],
  [3, 42],
  [9, 130],
  [2, 8192],
  [33, 514],
  [20, 1024],
];
const oddShapes = [
  [1, 1],
  [7, 33],
  [130, 257],
];

/** What the engine gives for the numbers that each case has after rounding to its dtype. */
async function runCases(
  op: 'quantize' | 'quantizeNf4',
  attributes: Record<string, number>,
  ofShapes = shapes,
) {
  const cases = ofShapes.flatMap((shape) => opCases({ op, inputs: { x: hard(shape) }, attributes }));
  const plan = opPlan(cases, [cpuTarget({ threads: 1 })]);
  await using engine = await Engine.open({ device: 'cpu', threads: 1 });
  await engine.load(plan.plan);
  const memory = await runOps(engine, plan);
  return plan.cases.map((placed) => {
    const { shape, data } = placed.opCase.inputs[0]!.values!;
    const numbers = Float32Array.from(data);
    const outputs = placed.opCase.outputs.map(({ name }) => [name, outputOf(placed, name, memory)]);
    return { name: placed.opCase.name, shape, numbers, outputs: Object.fromEntries(outputs) as object };
  });
}

/** Parts, and the first elements of theirs, that are not what the engine gives. */
const differences = (codes: object, outputs: object): string[] =>
  Object.entries(codes).flatMap(([part, array]: [string, Uint8Array]) => {
    const right = (outputs as Readonly<Record<string, Float64Array>>)[part]!;
    const index = right.findIndex((value, i) => !Object.is(value, array[i]!));
    if (index < 0 && right.length === array.length) return [];
    return [`${part}[${index}] is ${array[index]}, not ${right[index]}`];
  });

test('int8', async () => {
  for (const { name, numbers, outputs } of await runCases('quantize', { groupSize: 256 }))
    expect([name, ...differences(encodeInt8(numbers), outputs)]).toEqual([name]);
});

test('NF4', async () => {
  for (const { name, numbers, outputs } of await runCases('quantizeNf4', {}))
    expect([name, ...differences(encodeNf4(numbers), outputs)]).toEqual([name]);
});

test('NF4 of rows of an odd number', async () => {
  for (const { name, shape, numbers, outputs } of await runCases('quantizeNf4', {}, oddShapes)) {
    const bytes = new Uint8Array(numbers.buffer);
    const matrix = {
      elementBytes: 4,
      read: async (first: number, count: number) => bytes.slice(4 * first, 4 * (first + count)),
    };
    const [rows, columns] = shape as [number, number];
    const all = new Float32Array((await evenRows(matrix, columns).read(0, rows * (columns + 1))).buffer);
    expect([name, ...differences(encodeNf4(all), outputs)]).toEqual([name]);
  }
});
