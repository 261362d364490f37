/** Plans of a few instructions, made by hand, for tests of the engine's life. */
import {
  type Plan,
  type PlanEntry,
  type PlanInstruction,
  type PlanValue,
  planVersion,
} from '../../lib/compile/index.js';
import { loopScalars } from '../../lib/graph/index.js';

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly region: PlanValue['region'];
}

const align = (bytes: number): number => Math.ceil(bytes / 256) * 256;

/** Places f32 tensors one after another; entries name them by their index. */
function makePlan(
  tensors: readonly Tensor[],
  entries: readonly Pick<PlanEntry, 'name' | 'inputs' | 'outputs' | 'instructions'>[],
): Plan {
  const end = { persistent: 0, arena: 0, rows: 0, session: 0 };
  const values = tensors.map(({ name, shape, region }, id): PlanValue => {
    const bytes = 4 * shape.reduce((a, b) => a * b, 1);
    const offset = end[region];
    end[region] = offset + align(bytes);
    return { id, name, layer: 'test', kind: 'activation', dtype: 'f32', shape, region, offset, bytes };
  });
  return {
    version: planVersion,
    device: 'cpu',
    scalars: [...loopScalars],
    values,
    entries: Object.fromEntries(
      entries.map((entry) => [
        entry.name,
        { ...entry, lifetimes: [], arenaBytes: end.arena, arenaLowerBoundBytes: end.arena },
      ]),
    ),
    persistentBytes: end.persistent,
    arenaBytes: end.arena,
    arenaLowerBoundBytes: end.arena,
    peakBytes: end.persistent + end.arena,
  };
}

function instruction(
  op: string,
  inputs: readonly number[],
  outputs: readonly number[],
  attributes: PlanInstruction['attributes'] = {},
): PlanInstruction {
  const workspace = { offset: 0, bytes: 0, kind: 'workspace' } as const;
  const place = { layer: 'layers.0', phase: 'forward', flops: 0 } as const;
  const alone = { isPreparedAhead: false, joinsPrevious: false };
  return { op, inputs, outputs, attributes, workspace, ...place, ...alone };
}

/**
 * `weight` (2, 3) persistent. Entry `step`: sum = weight + x, then weight -= learningRate x. Entry `row`: the row of x
 * that the scalar names.
 */
export const smallPlan = (): Plan =>
  makePlan(
    [
      { name: 'weight', shape: [2, 3], region: 'persistent' },
      { name: 'x', shape: [2, 3], region: 'arena' },
      { name: 'sum', shape: [2, 3], region: 'arena' },
      { name: 'selected', shape: [1, 3], region: 'arena' },
    ],
    [
      {
        name: 'step',
        inputs: [1],
        outputs: [2],
        instructions: [
          instruction('add', [0, 1], [2]),
          instruction('sgd', [0, 1], [0], { learningRate: { scalar: 'learningRate' } }),
        ],
      },
      {
        name: 'row',
        inputs: [1],
        outputs: [3],
        instructions: [instruction('selectRow', [1], [3], { row: { scalar: 'row' } })],
      },
    ],
  );

/** A region of each kind of so many bytes; entry `busy` fills the arena over and over. */
export function largePlan(regionBytes: number, repeats: number): Plan {
  const shape = [regionBytes / 4];
  return makePlan(
    [
      { name: 'weight', shape, region: 'persistent' },
      { name: 'x', shape, region: 'arena' },
    ],
    [
      {
        name: 'busy',
        inputs: [],
        outputs: [],
        instructions: Array.from({ length: repeats }, (_, i) => instruction('fill', [], [1], { value: i })),
      },
    ],
  );
}
