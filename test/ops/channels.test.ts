import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { tensor } from '../reference/index.js';

const [row, column, all] = [0, 1, 2];
const options = { epsilon: 1e-8, growthLimit: 1.01 };

/** The shape of what a gradient is compressed to, by what a channel is. */
const compressedShape = (axis: number, rows: number, columns: number): [number, number] =>
  axis === row ? [rows, 3] : [2, columns];

describeOps('channelFactors', () =>
  [
    [1, 1],
    [5, 3],
    [33, 130],
    [130, 33],
    [7, 2049],
  ].flatMap(([rows, columns]) =>
    [row, column, all].flatMap((axis) =>
      [0, 0.5, 1e6].flatMap((previousNorm) => {
        const shape = compressedShape(axis, rows!, columns!);
        const inputs = {
          gradient: randomTensor('gradient', [rows!, columns!]),
          compressed: randomTensor('compressed', shape),
          direction: randomTensor('direction', shape),
          previousNorm: tensor([1], [previousNorm]),
        };
        const label = `axis ${axis}, previous norm ${previousNorm}`;
        const gradientScale = tensor([1], [0.25]);
        return [
          ...opCases({ op: 'channelFactors', label, inputs, attributes: { ...options, axis } }),
          ...opCases(
            {
              op: 'channelFactors',
              label: `${label}, clipped`,
              inputs: { ...inputs, gradientScale },
              attributes: { ...options, axis },
            },
            ['f32 f32 f32', 'bf16 f32 f32'],
          ),
        ];
      }),
    ),
  ),
);

describeOps('scaleChannels', () =>
  [
    [1, 1],
    [5, 3],
    [33, 130],
    [7, 2049],
  ].flatMap(([rows, columns]) =>
    [row, column, all].flatMap((axis) => {
      const inputs = {
        x: randomTensor('x', [rows!, columns!]),
        factors: randomTensor('factors', [[rows!, columns!, 1][axis]!]),
      };
      const label = `axis ${axis}`;
      return [
        ...opCases({ op: 'scaleChannels', label, inputs, attributes: { axis } }),
        ...opCases({ op: 'scaleChannels', label, inputs, attributes: { axis }, inPlace: { y: 'x' } }),
      ];
    }),
  ),
);
