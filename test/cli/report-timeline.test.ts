import { expect, test } from '@jest/globals';
import { timelineOf } from '../../lib/cli/bench/training/timeline.js';
import { compile, type Plan, type PlanInstruction } from '../../lib/compile/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';

const value = (id: number, name: string, offset: number) => ({
  id, name, layer: 'x', kind: 'activation', dtype: 'f32', shape: [64], region: 'arena', offset, bytes: 256,
} as const); // prettier-ignore

const instruction = (op: string, inputs: number[], outputs: number[], joinsPrevious = false): PlanInstruction => ({
  op, inputs, outputs, attributes: {}, workspace: { offset: 0, bytes: 0, kind: 'workspace' }, isPreparedAhead: false,
  layer: 'x', phase: 'forward', flops: 0, joinsPrevious,
}); // prettier-ignore

test('a tensor is made and read last by the instructions that do it, whatever its lifetime', () => {
  // The caller writes 0; 1 is made of it, 2 in place of 1; 3 and 4 are made of 2 by a group; 5 is for the caller.
  const values = [0, 256, 256, 512, 768, 1024].map((offset, id) => value(id, `value ${id}`, offset));
  const instructions = [
    instruction('matmul', [0], [1]),
    instruction('scale', [1], [2]),
    instruction('matmul', [2], [3]),
    instruction('matmul', [2], [4], true),
    instruction('add', [3, 4], [5]),
  ];
  const spans = [[0, 0], [0, 0], [1, 3], [2, 4], [2, 4], [4, 4]] as const; // prettier-ignore
  const lifetimes = spans.map(([first, last], id) => ({ value: id, first, last }));
  const train = {
    name: 'train', instructions, inputs: [0], outputs: [5], lifetimes, arenaBytes: 1280, arenaLowerBoundBytes: 1280,
  }; // prettier-ignore
  const plan: Plan = {
    version: 4, device: 'cpu', scalars: [], values, entries: { train }, persistentBytes: 0, arenaBytes: 1280,
    arenaLowerBoundBytes: 1280, peakBytes: 1280,
  }; // prettier-ignore
  expect(timelineOf(plan).blocks.map(({ madeBy, lastReadBy }) => [madeBy, lastReadBy])).toEqual([
    [undefined, 0],
    [0, 1], // after its lifetime: 2 lies there by then
    [1, 3],
    [2, 4],
    [3, 4], // made in the lifetime's second instruction: the group's first has its bytes, too
    [4, undefined],
  ]);
});

test('of a real step some tensors are made in place of what is read for the last time', () => {
  const plan = compile({
    model: llama('llama-demo'),
    method: dense(),
    target: cpuTarget({ threads: 1 }),
    batchSize: 1,
    sequenceLength: 32,
    dtype: 'f32',
    entries: ['train'],
  });
  const { blocks } = timelineOf(plan);
  const inPlace = blocks.filter(({ last, lastReadBy }) => lastReadBy !== undefined && lastReadBy > last);
  expect(inPlace.length).toBeGreaterThan(0);
  for (const { name, offset, last, lastReadBy } of inPlace) {
    const made = blocks.filter((next) => next.madeBy === lastReadBy && next.offset === offset);
    expect([name, made.map(({ first }) => first)]).toEqual([name, [last + 1]]);
  }
});
