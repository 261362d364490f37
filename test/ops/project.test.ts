import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { environment } from '../../lib/runtime/index.js';
import { describeOps, plannedCases, runOps } from '../helpers/describe-ops.js';
import { instructionSets, machines, withEngine } from '../helpers/machines.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { outputOf } from '../helpers/op-plan.js';
import { randomTensor } from '../helpers/random.js';
import { computeTwin, tensor } from '../reference/index.js';
import { projectionPatterns, projectionSha256, projectionTable } from '../reference/projection.js';

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const key = { seedLow: 0x89abcdef, seedHigh: 0x01234567, tensorId: 37, epoch: 5 };
const [gaussian, rademacher, identity] = [0, 1, 2] as const;

const shapes: readonly (readonly [tokens: number, width: number, rank: number])[] = [
  [1, 1, 1],
  [2, 31, 1],
  [33, 32, 32], // rank = width
  [3, 123, 41], // rank > tokens
  [41, 1024, 8],
  [130, 72, 24],
  [2, 4097, 33],
  [9, 40, 129],
];

describeOps('project', () =>
  shapes.flatMap(([tokens, width, rank]) =>
    [gaussian, rademacher, identity].flatMap((distribution) =>
      opCases({
        op: 'project',
        label: `distribution ${distribution}`,
        inputs: { x: randomTensor('x', [tokens, width]) },
        attributes: { ...key, distribution, rank },
      }),
    ),
  ),
);

describeOps('projectLeft', () =>
  shapes.flatMap(([columns, rows, rank]) =>
    [gaussian, rademacher, identity].flatMap((distribution) =>
      opCases({
        op: 'projectLeft',
        label: `distribution ${distribution}`,
        inputs: { x: randomTensor('x', [rows, columns]) },
        attributes: { ...key, distribution, rank },
      }),
    ),
  ),
);

const exactUpdate = {
  learningRate: -1,
  weightDecay: 0,
  stochasticRounding: 0,
  roundingSeed: 0,
  step: 0,
};
const update = { learningRate: 0.01, updateScale: 0.25, weightDecay: 0.5 };

const backUpdates = (rows: number, columns: number, rank: number, distribution: number): OpCase[] =>
  opCases({
    op: 'projectBackUpdate',
    label: `distribution ${distribution}`,
    inputs: {
      weight: randomTensor('weight', [rows, columns]),
      direction: randomTensor('direction', [rank, columns], 30),
    },
    attributes: { ...key, ...update, distribution },
  });

describeOps('projectBackUpdate', () =>
  shapes.flatMap(([columns, rows, rank]) =>
    [gaussian, rademacher, identity].flatMap((distribution) =>
      backUpdates(rows, columns, rank, distribution),
    ),
  ),
);

describeOps('projectBackUpdateInt8', () =>
  shapes.flatMap(([columns, rows, rank]) =>
    (
      [
        [gaussian, 256],
        [rademacher, 32],
        [identity, 256],
      ] as const
    ).flatMap(([distribution, groupSize]) =>
      opCases({
        op: 'projectBackUpdateInt8',
        label: `distribution ${distribution}, groups of ${groupSize}`,
        inputs: {
          ...computeTwin('quantize', { x: randomTensor('weight', [rows, columns]) }, { groupSize }),
          direction: randomTensor('direction', [rank, columns], 30),
        },
        attributes: { ...key, ...update, distribution, groupSize, roundingSeed: 5, step: 3 },
        // A sum that falls elsewhere may be rounded to the next code; steps are of many codes. One term is exact.
        absolute: distribution === identity ? {} : { codes: 1 },
      }),
    ),
  ),
);

describeOps('projectTransfer', () =>
  [
    [1, 1, 1],
    [32, 32, 31],
    [123, 41, 2],
    [1024, 8, 33],
    [40, 129, 5],
  ].flatMap(([rows, rank, columns]) =>
    [gaussian, rademacher, identity].flatMap((distribution) =>
      opCases({
        op: 'projectTransfer',
        label: `distribution ${distribution}, rows ${rows}`,
        inputs: { moment: randomTensor('moment', [rank!, columns!]) },
        attributes: { ...key, rows: rows!, oldEpoch: 3, newEpoch: 4, distribution },
      }),
    ),
  ),
);

// One-hot rows read single entries of the projection: z is P itself, and its bits are those of the table.
describeOps('rows of the projection', () =>
  [1, 8, 13, 64].flatMap((rank) =>
    opCases({
      op: 'project',
      label: 'of one-hot rows',
      inputs: {
        x: tensor(
          [50, 50],
          Array.from({ length: 2500 }, (_, i) => Number(i % 51 === 0)),
        ),
      },
      attributes: { ...key, rank },
    }),
  ),
);

describe('projection', () => {
  test('P P^T tends to the identity over epochs', async () => {
    const [rows, rank, epochs] = [12, 6, 500];
    const x = tensor(
      [rows, rows],
      Array.from({ length: rows * rows }, (_, i) => Number(i % (rows + 1) === 0)),
    );
    const cases = Array.from({ length: epochs }, (_, epoch) =>
      opCases({ op: 'project', inputs: { x }, attributes: { ...key, epoch, rank } }, ['f32']),
    ).flat();
    const planned = plannedCases(cases, 'scalar');
    const sums = new Float64Array(rows * rows);
    await withEngine('scalar', 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      for (const placed of planned.cases) {
        const p = outputOf(placed, 'z', after);
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < rows; j++)
            for (let l = 0; l < rank; l++) sums[i * rows + j]! += p[i * rank + l]! * p[j * rank + l]!;
      }
    });
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < rows; j++) {
        // Standard deviation of one entry of P P^T: sqrt(2 / rank) on the diagonal, sqrt(1 / rank) beside it.
        const deviation = Math.sqrt((i === j ? 2 : 1) / rank / epochs);
        const z = (sums[i * rows + j]! / epochs - Number(i === j)) / deviation;
        expect(Math.abs(z)).toBeLessThan(4.5); // 144 entries: a fair draw passes 999 times of 1,000
      }
    }
  });

  // A weight of zeros becomes the projection itself: the direction is the identity, and the step size undoes the
  // factor 1 / sqrt(rank). On a GPU it is the matrix with the published hash.
  test.each(machines)('bits of the matrix (%s)', async (machine) => {
    const [rows, rank] = machine === 'cuda' ? [4096, 1024] : [64, 16];
    const noKey = { seedLow: 1, seedHigh: 0, tensorId: 0, epoch: 0 };
    const direction = tensor([rank, rank]);
    for (let i = 0; i < rank; i++) direction.data[i * rank + i] = 1;
    const weight = { name: 'weight', dtype: 'bf16', shape: [rows, rank] } as const;
    const opCase: OpCase = {
      name: 'the projection as a weight',
      op: 'projectBackUpdate',
      inputs: [
        { ...weight, values: tensor([rows, rank]) },
        { name: 'direction', dtype: 'bf16', shape: [rank, rank], values: direction },
      ],
      outputs: [{ ...weight, updates: 'weight' }],
      attributes: { ...noKey, distribution: 0, ...exactUpdate, updateScale: Math.sqrt(rank) },
      ...{ right: {}, naive: {}, absolute: {}, onMatrixUnits: {} },
    };
    const planned = plannedCases([opCase], machine);
    await withEngine(machine, 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      const { offset, bytes } = planned.cases[0]!.outputs[0]!;
      const right = Buffer.from(projectionPatterns(rows, rank, noKey).buffer);
      expect(hashOf(after.subarray(offset, offset + bytes))).toBe(hashOf(right));
    });
  });

  test('every instruction set of this machine computes the published 65,536 values', () => {
    const { sha256 } = environment().projection;
    const found = Object.keys(sha256);
    expect(found).toContain('scalar');
    for (const instructionSet of found) {
      expect(instructionSets).toContain(instructionSet);
      expect(sha256[instructionSet]).toBe(projectionSha256);
    }
    const ours = Buffer.from(projectionTable().buffer);
    expect(hashOf(ours)).toBe(projectionSha256);
  });
});
