/** Values held in codes between forward and backward: mathematics, order, bytes. */
import { describe, expect, test } from '@jest/globals';
import { applyUpdates } from '../../lib/compile/apply-method.js';
import { choose } from '../../lib/compile/choose.js';
import { withoutDeadNodes } from '../../lib/compile/dead-nodes.js';
import { differentiate } from '../../lib/compile/differentiate.js';
import { buildForward } from '../../lib/compile/forward.js';
import { compile, type Plan } from '../../lib/compile/index.js';
import { order } from '../../lib/compile/order.js';
import { realise } from '../../lib/compile/realise.js';
import { add, linear, linearCrossEntropy, type Model, silu, type Value } from '../../lib/graph/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import {
  compact,
  dense,
  flora,
  lora,
  type Method,
  mesa,
  type MethodOptions,
  StepClock,
} from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import type { Tensor } from '../reference/index.js';

const config = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 16,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
};
const shape = { batchSize: 2, sequenceLength: 4 };
const groupSize = 16;

/** What is held as it is: numbers per row beside a result, and the gradient that the loss is made with. */
const isHeldAsItIs = ({ name }: Value) => name === 'rstd' || name === 'lse' || name === 'dx';

/** The numbers that one in units of its group's scale can be held as. */
type Nearest = (x: number) => number;

/** E4M3: seven powers of two below 2^-6 and all eighths of the powers from there to 448 (OCP, 2023). */
const e4m3 = [
  ...Array.from({ length: 8 }, (_, i) => i * 2 ** -9),
  ...Array.from({ length: 119 }, (_, i) => (1 + (i % 8) / 8) * 2 ** (Math.floor(i / 8) - 6)),
];
const nearestE4m3: Nearest = (x) =>
  Math.sign(x) *
  e4m3.reduce((best, level) => (Math.abs(level - Math.abs(x)) < Math.abs(best - Math.abs(x)) ? level : best));

const formats = {
  int8: { largest: 127, nearest: Math.round },
  fp8: { largest: 448, nearest: nearestE4m3 },
} satisfies Record<string, { largest: number; nearest: Nearest }>;
type Format = keyof typeof formats;

/** The number of the format that is nearest, of which the group's largest magnitude is the largest. */
const inGroups =
  (format: Format) =>
  (value: Value, { shape: dims, data }: Tensor): Tensor => {
    if (value.kind !== 'activation' || isHeldAsItIs(value)) return { shape: dims, data };
    const { largest, nearest } = formats[format];
    const held = data.map((x, i) => {
      const first = i - (i % groupSize);
      const scale = Math.fround(Math.max(...data.slice(first, first + groupSize).map(Math.abs)) / largest);
      return scale === 0 ? 0 : nearest(Math.fround(x / scale)) * scale;
    });
    return { shape: dims, data: held };
  };

const optionsOf = { weightDecay: 0.1, epsilon: 1e-6 } as const;
/** Methods in all spaces of gradients, by what is said of their copies. */
const spaces: Readonly<Record<string, (saving: MethodOptions) => Method>> = {
  'full gradients': (saving) => dense({ ...optionsOf, ...saving }),
  'compressed inputs': (saving) => compact({ ...optionsOf, rank: 4, refreshInterval: 7, ...saving }),
  'projected gradients': (saving) =>
    flora({ ...optionsOf, optimizer: 'adamw', rank: 4, refreshInterval: 7, ...saving }),
  adapters: (saving) => lora({ ...optionsOf, r: 4, targetModules: 'all-linear', ...saving }),
};

/** Makes the next step of each trainer, and gives the losses before it. */
function stepAll(trainers: readonly TwinTrainer[], clock: StepClock, batch: string): number[] {
  const now = { ...clock.scalars, learningRate: 0.01 };
  const losses = trainers.map((trainer) => trainer.step(batch, now));
  for (const entry of clock.completeStep()?.entries ?? [])
    for (const trainer of trainers) trainer.between(entry, clock.scalars);
  return losses;
}

const twinCases: readonly (readonly [string, Format])[] = [
  ...Object.keys(spaces).map((space) => [space, 'int8'] as const),
  ['full gradients', 'fp8'],
];

test.each(twinCases)(
  '%s: twenty steps are those whose backward reads the copies rebuilt from %s',
  (space, savedActivations) => {
    const methodWith = spaces[space]!;
    const copied = methodWith({ savedActivations, savedGroupSize: groupSize });
    const compiled = new TwinTrainer(llama(config), copied, { ...shape, recompute: 'none' });
    const published = new TwinTrainer(llama(config), methodWith({}), {
      ...shape,
      heldAs: inGroups(savedActivations),
    });
    const exact = new TwinTrainer(llama(config), methodWith({}), shape);
    const clock = new StepClock(copied);
    for (let step = 1; step <= 20; step++) {
      const [found, expected, other] = stepAll([compiled, published, exact], clock, `batch ${step}`);
      expect(found).toBeCloseTo(expected!, 9);
      if (step === 1) expect(found).toBe(other); // forward is exact
    }
    let difference = 0;
    for (const [name, { data }] of published.persistent) {
      for (const [i, value] of data.entries()) {
        expect(compiled.persistent.get(name)!.data[i]).toBeCloseTo(value, 9);
        difference = Math.max(difference, Math.abs(exact.persistent.get(name)!.data[i]! - value));
      }
    }
    expect(difference).toBeGreaterThan(1e-3); // the copies are not the originals
  },
);

test('mesa is dense with copies in int8', () => {
  const { name: _, ...described } = mesa().describe();
  const { name: __, ...expected } = dense({ savedActivations: 'int8' }).describe();
  expect(described).toEqual(expected);
  expect(described).toMatchObject({ savedActivations: 'int8', savedGroupSize: 256 });
});

describe('the pass', () => {
  /** A step's program, with what is chosen for its values. */
  function realised(model: Model, recompute: 'none' | 'cheap' | 'layer' = 'none') {
    const method = mesa({ savedGroupSize: groupSize });
    const options = { ...shape, dtype: 'f32', purpose: 'train' } as const;
    const forward = buildForward('step', model, options, method);
    const differentiated = differentiate(forward, { method, gradientDtype: 'f32', window: false });
    const program = withoutDeadNodes(applyUpdates(differentiated, method));
    const fates = choose(program, recompute, method.saving);
    return { fates, ...order(realise(program, fates), 'early') };
  }

  test('a value is encoded right after it is made, and nothing reads the original after forward', () => {
    const { nodes, fates } = realised(llama(config));
    const encoded = [...fates].flatMap(([value, fate]) => (typeof fate === 'object' ? [value] : []));
    const kept = [...fates].flatMap(([value, fate]) => (fate === 'keep' ? [value] : []));
    expect(encoded.length).toBeGreaterThan(20);
    expect(kept.filter(({ kind }) => kind === 'activation').every(isHeldAsItIs)).toBe(true);
    for (const value of encoded) {
      const made = nodes.findIndex(({ outputs }) => outputs.includes(value));
      expect(nodes[made + 1]).toMatchObject({ op: 'quantize', phase: 'forward', inputs: [value] });
      for (const { inputs, phase } of nodes) if (inputs.includes(value)) expect(phase).toBe('forward');
    }
    const encodings = nodes.filter(({ op }) => op === 'quantize');
    expect(encodings).toHaveLength(encoded.length);
  });

  test('a copy is made again just before its first use, once for a block', () => {
    const { nodes, fates } = realised(llama(config));
    const decodings = nodes.filter(({ op }) => op === 'dequantize');
    const numEncoded = [...fates.values()].filter((fate) => typeof fate === 'object').length;
    expect(decodings).toHaveLength(numEncoded);
    for (const decoding of decodings) {
      expect(decoding.phase).toBe('backward');
      // Only other copies for the same reader stand in between.
      const position = nodes.indexOf(decoding);
      const next = nodes.slice(position).find(({ op }) => op !== 'dequantize')!;
      expect(next.inputs).toContain(decoding.outputs[0]);
    }
  });

  test('recomputed nodes read copies too', () => {
    const { nodes } = realised(llama(config), 'cheap');
    const norms = nodes.filter(({ op, phase }) => op === 'rmsNorm' && phase === 'backward');
    expect(norms).toHaveLength(2 * config.numHiddenLayers);
    for (const { inputs } of norms)
      expect(nodes.find(({ outputs }) => outputs.includes(inputs[0]!))!.op).toBe('dequantize');
    // What is rebuilt is not held in any form.
    const { fates } = realised(llama(config), 'layer');
    const encoded = [...fates].filter(([, fate]) => typeof fate === 'object');
    expect(encoded.map(([{ layer }]) => layer).toSorted()).toEqual([
      'embedding',
      'layers.0.mlp',
      'layers.1.mlp',
    ]);
  });

  test('two blocks that read one value have a copy each', () => {
    const info = { role: 'linear', initializer: { type: 'constant', value: 1 } } as const;
    const model: Model = {
      ...llama(config),
      build(graph) {
        const tokens = graph.input('targets', [8], 'i32');
        const start = graph.input('x', [8, 8], 'f32');
        const weight = (name: string) => graph.parameter(name, [8, 8], 'f32', info);
        const x = graph.inLayer('layers.0', () => silu(linear(start, weight('first'))));
        const left = graph.inLayer('layers.1', () => silu(linear(x, weight('left'))));
        const right = graph.inLayer('layers.2', () => linear(x, weight('right')));
        return linearCrossEntropy(add(left, right), weight('head'), tokens);
      },
    };
    const { nodes } = realised(model);
    const [x] = nodes.find(({ op }) => op === 'silu')!.outputs;
    const encoding = nodes.find(({ inputs, op }) => op === 'quantize' && inputs[0] === x)!;
    const copies = nodes.filter(({ inputs }) => inputs[0] === encoding.outputs[0]);
    expect(copies.map(({ op }) => op)).toEqual(['dequantize', 'dequantize']);
  });

  test('evaluation and sampling are those of dense', () => {
    const options = { model: llama(config), target: planTarget, ...shape, dtype: 'f32' } as const;
    const [ours, plain] = [mesa(), dense()].map((method) =>
      compile({ ...options, method, entries: ['evaluate', 'generate'] }),
    );
    expect(ours).toEqual(plain);
  });
});

describe('bytes', () => {
  const model = llama({ ...config, hiddenSize: 64, intermediateSize: 172, vocabSize: 64 });
  const options = { model, target: planTarget, batchSize: 4, sequenceLength: 128 } as const;

  /** Bytes that forward leaves to backward, by kind, but for what is held as it is. */
  function handedOver(plan: Plan) {
    const { instructions, lifetimes } = plan.entries.step!;
    const boundary = instructions.findIndex(({ phase }) => phase === 'backward');
    const held = lifetimes
      .filter(({ first, last }) => first < boundary - 1 && last >= boundary)
      .map(({ value }) => plan.values[value]!)
      .filter(({ name }) => !/\.(rstd|lse|dx)$/.test(name));
    const bytesOf = (kind: string) =>
      held.filter((value) => value.kind === kind).reduce((sum, { bytes }) => sum + bytes, 0);
    return { activation: bytesOf('activation'), compressed: bytesOf('compressedActivation') };
  }

  const methods: Readonly<Record<string, (saving: MethodOptions) => Method>> = {
    ...spaces,
    'compressed inputs, lazy': (saving) => compact({ store: 'lazy', ...saving }),
  };
  const dtypes = [
    ['f32', 4],
    ['bf16', 2],
  ] as const;
  const cases = [
    ...Object.keys(methods).flatMap((name) => dtypes.map((dtype) => [name, ...dtype, 'int8'] as const)),
    ['full gradients', 'bf16', 2, 'fp8'] as const,
  ];

  test.each(cases)(
    '%s, %s: one byte for %d, and four for each group of %s',
    (name, dtype, elementBytes, savedActivations) => {
      const planOf = (saving: MethodOptions) =>
        compile({ ...options, dtype, method: methods[name]!(saving) });
      const [plain, ours] = [planOf({}), planOf({ savedActivations })];
      const { activation: replaced, compressed } = handedOver(plain);
      expect(replaced).toBeGreaterThan(0);
      expect(handedOver(ours)).toEqual({
        activation: 0,
        compressed: compressed + (replaced / elementBytes) * (1 + 4 / 256),
      });
      const { byKind, peak } = memoryReport(ours);
      expect(peak!.entry).toMatch(/^step/);
      expect(byKind.compressedActivation).toBeGreaterThan(0);
      expect(ours.peakBytes).toBeLessThan(plain.peakBytes);
    },
  );
});

describe('what is refused', () => {
  test.each([
    { savedGroupSize: 0 },
    { savedGroupSize: 1.5 },
    { savedGroupSize: 'all' },
    { savedActivations: 'int4' },
  ])('%j', (given) => {
    expect(() => mesa(given as object)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: Object.keys(given)[0] }),
    );
  });

  test('the size of groups that there are not', () => {
    expect(() => dense({ savedGroupSize: 64 })).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_CONFIG_VALUE',
        op: 'savedGroupSize',
        received: 'savedGroupSize 64 alone',
      }),
    );
  });
});
