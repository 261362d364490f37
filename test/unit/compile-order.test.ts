/** What is recomputed, what is shared, and in which order instructions run. */
import { describe, expect, test } from '@jest/globals';
import { type CompileOptions, compile, type PlanInstruction } from '../../lib/compile/index.js';
import { isCompactError } from '../../lib/errors.js';
import { compact, dense, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';

const numHiddenLayers = 3;
const model = llama({
  vocabSize: 64,
  hiddenSize: 32,
  intermediateSize: 88,
  numAttentionHeads: 4,
  numHiddenLayers,
});

const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
  compile({ model, method, target: planTarget, batchSize: 2, sequenceLength: 16, dtype: 'bf16', ...change });

const instructionsOf = (method: Method, change: Partial<CompileOptions> = {}, entry = 'step') =>
  planOf(method, change).entries[entry]!.instructions;

const count = (instructions: readonly PlanInstruction[], op: string, phase?: string): number =>
  instructions.filter(
    (instruction) => instruction.op === op && (phase === undefined || instruction.phase === phase),
  ).length;

const stored = compact({ rankRatio: 0.25 });
const lazy = compact({ rankRatio: 0.25, store: 'lazy' });

describe('recomputation', () => {
  test('none: no forward op runs twice', () => {
    for (const method of [dense(), stored]) {
      const instructions = instructionsOf(method);
      expect(count(instructions, 'addRmsNorm')).toBe(2 * numHiddenLayers);
      expect(count(instructions, 'rmsNorm')).toBe(1); // of the embedding, which no sum comes before
      expect(count(instructions, 'swiglu')).toBe(numHiddenLayers);
      expect(count(instructions, 'attention')).toBe(numHiddenLayers);
    }
  });

  test('cheap: the norms of layers and SwiGLU run again, products and attention do not', () => {
    const instructions = instructionsOf(dense(), { recompute: 'cheap' });
    expect(count(instructions, 'rmsNorm', 'backward')).toBe(2 * numHiddenLayers);
    expect(count(instructions, 'swiglu', 'backward')).toBe(numHiddenLayers);
    expect(count(instructions, 'attention')).toBe(numHiddenLayers);
    expect(count(instructions, 'rope', 'backward')).toBe(2 * numHiddenLayers); // gradients only
  });

  test('cheap adds nothing where nothing is kept that could be rebuilt', () => {
    expect(instructionsOf(stored, { recompute: 'cheap' })).toHaveLength(instructionsOf(stored).length);
  });

  test('layer: each layer runs once more, but for its last product and the head', () => {
    const instructions = instructionsOf(dense(), { recompute: 'layer' });
    expect(count(instructions, 'attention', 'backward')).toBe(numHiddenLayers);
    expect(count(instructions, 'rmsNorm', 'backward')).toBe(2 * numHiddenLayers);
    expect(count(instructions, 'add', 'backward')).toBe(numHiddenLayers);
    expect(count(instructions, 'linearCrossEntropyBackward')).toBe(1);
    // Forward products: q, k, v, o, gate, up and down, all but down again; backward: two for each weight.
    expect(count(instructions, 'matmul')).toBe(numHiddenLayers * (7 + 6 + 14));
  });

  test('lazy compression rebuilds inputs and compresses them in backward', () => {
    const instructions = instructionsOf(lazy);
    expect(count(instructions, 'project', 'backward')).toBe(3 * numHiddenLayers);
    expect(count(instructions, 'rmsNorm', 'backward')).toBe(2 * numHiddenLayers);
    expect(count(instructions, 'swiglu', 'backward')).toBe(numHiddenLayers);
    const position = instructions.findIndex(({ phase, op }) => phase === 'backward' && op === 'swiglu');
    expect(instructions[position + 1]!.op).toBe('project');
    expect(instructions[position + 2]!.op).toBe('matmul');
  });
});

describe('sharing', () => {
  test.each([
    ['input', 3],
    ['weight', 6],
  ] as const)('by %s: %d compressed inputs a layer', (sharing, copies) => {
    const instructions = instructionsOf(compact({ rankRatio: 0.25, sharing }));
    expect(count(instructions, 'project')).toBe(copies * numHiddenLayers);
  });
});

describe('order', () => {
  test('a layer input is compressed right after it is made', () => {
    const instructions = instructionsOf(stored);
    for (const [index, { op, phase, inputs }] of instructions.entries()) {
      if (op !== 'project') continue;
      expect(phase).toBe('forward');
      expect(instructions[index - 1]!.outputs).toContain(inputs[0]);
    }
  });

  test.each([
    ['dense', dense()],
    ['compact', stored],
  ])('%s: weights of a layer are updated before backward enters the one below', (_name, method) => {
    const instructions = instructionsOf(method);
    let lowest = numHiddenLayers;
    for (const { phase, layer } of instructions) {
      const block = /^layers\.(\d+)/.exec(layer)?.[1];
      if (block === undefined) continue;
      if (phase === 'backward') lowest = Math.min(lowest, Number(block));
      if (phase === 'update') expect(Number(block)).toBe(lowest);
    }
  });

  test('evaluation and generation neither compress nor keep anything for backward', () => {
    const { entries } = planOf(stored);
    for (const name of ['evaluate', 'prefill', 'generate'] as const) {
      expect(count(entries[name]!.instructions, 'project')).toBe(0);
      expect(entries[name]!.instructions.every(({ phase }) => phase === 'forward')).toBe(true);
      expect(entries[name]!.arenaBytes).toBeLessThan(entries['step']!.arenaBytes);
    }
  });
});

const namesOf = (method: Method, change?: Partial<CompileOptions>) =>
  Object.keys(planOf(method, change).entries);

describe('entries', () => {
  test('a step in one, or in two halves where gradients outlive a micro-batch', () => {
    expect(namesOf(dense())).toEqual(['initialize', 'step', 'evaluate', 'prefill', 'generate']);
    const halves = ['initialize', 'accumulate', 'update', 'evaluate', 'prefill', 'generate'];
    expect(namesOf(dense(), { accumulateGradients: true })).toEqual(halves);
    expect(namesOf(dense(), { maxGradNorm: 0.5 })).toEqual(halves);
    expect(namesOf(dense(), { entries: ['train'] })).toEqual(['step']);
  });

  test('a refresh entry only where moments move', () => {
    expect(namesOf(stored)).not.toContain('refresh');
    expect(namesOf(compact({ rankRatio: 0.25, momentsAtRefresh: 'transfer' }))).toContain('refresh');
  });

  test('inputs and outputs have their names', () => {
    const { entries, values } = planOf(dense(), { maxGradNorm: 1 });
    const names = (entry: string) => {
      const { inputs, outputs } = entries[entry]!;
      return [inputs, outputs].map((ids) => ids.map((id) => values[id]!.name));
    };
    expect(names('accumulate')).toEqual([['tokens', 'targets'], ['loss']]);
    expect(names('update')).toEqual([[], ['gradNorm']]);
    expect(names('evaluate')).toEqual([['tokens', 'targets'], ['loss']]);
    expect(names('prefill')).toEqual([['tokens', 'positions'], []]);
    expect(names('generate')).toEqual([['tokens', 'positions'], ['logits']]);
    expect(names('initialize')).toEqual([[], []]);
  });

  test('initialisation writes every parameter once, and depends on the seed', () => {
    const plan = planOf(dense(), { seed: 1 });
    const written = plan.entries['initialize']!.instructions.flatMap(({ outputs }) => outputs);
    const parameters = plan.values.filter(({ kind }) => kind === 'parameter').map(({ id }) => id);
    expect(written.toSorted((a, b) => a - b)).toEqual(parameters);
    expect(planOf(dense(), { seed: 2 }).entries['initialize']).not.toEqual(plan.entries['initialize']);
  });
});

test.each([
  ['batchSize', 0],
  ['batchSize', 1.5],
  ['sequenceLength', -1],
  ['sequenceLength', Number.NaN],
  ['evaluateBatchSize', 0],
  ['generateBatchSize', 0],
])('%s %d is refused by name', (name, value) => {
  let caught: unknown;
  try {
    planOf(dense(), { [name]: value });
  } catch (error) {
    caught = error;
  }
  expect(isCompactError(caught, 'ERR_COMPACT_CONFIG_VALUE')).toBe(true);
  expect(caught).toMatchObject({ op: name, received: String(value) });
});
