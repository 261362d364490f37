/** Tables of bytes in docs/methods against plans. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type RecomputePolicy } from '../../lib/compile/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import {
  adalomo,
  badam,
  compact,
  dense,
  dora,
  fira,
  flora,
  galore,
  ldadam,
  lomo,
  lora,
  loraFa,
  type Method,
  mesa,
  type MethodOptions,
  qlora,
  relora,
  rso,
} from '../../lib/methods/index.js';
import { llama, type Model, modelFromDescription } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';

const doraOfAll = dora({ r: 16, targetModules: 'all-linear' });
const allLayers = lora({ r: 16, targetModules: 'all-linear' });
/** An optimizer of full gradients, and in the space of compact. */
const rowsOf = (label: string, options: MethodOptions): typeof rows => ({
  [label]: [dense(options)],
  [`${label}, compact`]: [compact(options)],
  [`${label}, compact, recompute layer`]: [compact(options), 'layer'],
});
const [apollo, apolloMini] = [dense({ optimizer: 'apollo' }), dense({ optimizer: 'apollo-mini' })];
const int8Aware = { weights: 'int8-aware' } as const;
const int8Copies = { savedActivations: 'int8' } as const;
const rows: Readonly<Record<string, readonly [Method, RecomputePolicy?]>> = {
  dense: [dense()],
  'dense, recompute cheap': [dense(), 'cheap'],
  'dense, recompute layer': [dense(), 'layer'],
  'compact n/4, stored': [compact()],
  'compact n/4, lazy': [compact({ store: 'lazy' })],
  'compact n/4, lazy, recompute layer': [compact({ store: 'lazy' }), 'layer'],
  'dense, bf16 states': [dense({ stateFormat: 'bf16' })],
  'adamw-8bit': [dense({ optimizer: 'adamw-8bit' })],
  'compact, adamw-8bit': [compact({ optimizer: 'adamw-8bit' })],
  adafactor: [dense({ optimizer: 'adafactor' })],
  adalomo: [adalomo()],
  'adalomo, recompute layer': [adalomo(), 'layer'],
  lomo: [lomo()],
  'lomo, recompute layer': [lomo(), 'layer'],
  apollo: [apollo],
  'apollo, recompute layer': [apollo, 'layer'],
  'apollo-mini': [apolloMini],
  'apollo-mini, recompute layer': [apolloMini, 'layer'],
  galore: [galore()],
  'galore, bf16 states': [galore({ stateFormat: 'bf16' })],
  'galore, bf16 states, recompute layer': [galore({ stateFormat: 'bf16' }), 'layer'],
  fira: [fira()],
  'fira, bf16 states': [fira({ stateFormat: 'bf16' })],
  'fira, bf16 states, recompute layer': [fira({ stateFormat: 'bf16' }), 'layer'],
  ldadam: [ldadam()],
  'ldadam, without error feedback': [ldadam({ errorFeedback: false })],
  'ldadam, r = 8': [ldadam({ rank: 8 })],
  'ldadam, r = 8, without error feedback, recompute layer': [
    ldadam({ rank: 8, errorFeedback: false }),
    'layer',
  ],
  flora: [flora()],
  'flora, recompute layer': [flora(), 'layer'],
  badam: [badam()],
  'badam, recompute layer': [badam(), 'layer'],
  'badam, 24 blocks, recompute layer': [badam({ blocks: 24 }), 'layer'],
  'badam, all parameters, recompute layer': [badam({ otherParameters: 'trained' }), 'layer'],
  'dense, int8-aware': [dense(int8Aware)],
  'dense, int8-aware, recompute cheap': [dense(int8Aware), 'cheap'],
  'compact n/4, lazy, int8-aware': [compact({ store: 'lazy', ...int8Aware })],
  'dense, int8 copies': [dense(int8Copies)],
  'dense, fp8 copies': [dense({ savedActivations: 'fp8' })],
  'compact n/4, stored, int8 copies': [compact(int8Copies)],
  'compact n/4, lazy, int8 copies': [compact({ store: 'lazy', ...int8Copies })],
  'galore, int8 copies': [galore(int8Copies)],
  'lora, r = 16, all layers, int8 copies': [lora({ r: 16, targetModules: 'all-linear', ...int8Copies })],
  mesa: [mesa()],
  'mesa, recompute cheap': [mesa(), 'cheap'],
  lora: [lora()],
  'lora, r = 16, all layers': [allLayers],
  'lora, r = 16, all layers, recompute layer': [allLayers, 'layer'],
  'dora, r = 16, all layers': [doraOfAll],
  'dora, r = 16, all layers, recompute layer': [doraOfAll, 'layer'],
  'lora-fa, r = 16': [loraFa({ r: 16 })],
  'lora-fa, r = 16, recompute layer': [loraFa({ r: 16 }), 'layer'],
  'qlora, r = 16, recompute layer': [qlora({ r: 16 }), 'layer'],
  'qlora, r = 16, table and head in int8, recompute layer': [
    qlora({ r: 16, embeddingWeights: 'int8' }),
    'layer',
  ],
  relora: [relora()],
  'relora, recompute layer': [relora(), 'layer'],
  rso: [rso()],
  'rso, proximal': [rso({ proximalPenalty: 1 })],
  'rso, recompute layer': [rso(), 'layer'],
  ...rowsOf('adam-mini', { optimizer: 'adam-mini' }),
  ...rowsOf('scale', { optimizer: 'scale' }),
  ...rowsOf('rmnp', { optimizer: 'rmnp' }),
  ...rowsOf('muon', { optimizer: 'muon' }),
  ...rowsOf('foam', { optimizer: 'foam' }),
  ...rowsOf('lion', { optimizer: 'lion' }),
  ...rowsOf('sgd', { optimizer: 'sgd' }),
  ...rowsOf('sgd, momentum 0.9', { optimizer: 'sgd', momentum: 0.9 }),
};

const inputsOf = { r: 16, targetModules: 'all-linear' } as const;
/** Adapters of a large model, with their inputs and with projected ones. */
const ofLargeModel: Readonly<Record<string, Method>> = {
  lora: lora(inputsOf),
  'lora, inputs n/4': lora({ ...inputsOf, inputRankRatio: 1 / 4 }),
  qlora: qlora(inputsOf),
  'qlora, inputs n/4': qlora({ ...inputsOf, inputRankRatio: 1 / 4 }),
};

/** Peaks without recomputation, with that of what is cheap, and of layers: LLaMA 7B, bf16, 4 x 2048 tokens, GiB. */
const peaksOf = (method: Method): readonly string[] =>
  (['none', 'cheap', 'layer'] as const).map((recompute) => {
    const shape = { batchSize: 4, sequenceLength: 2048, dtype: 'bf16', entries: ['train'] } as const;
    const target = cpuTarget({ threads: 2 });
    const plan = compile({ model: llama('llama-7b'), method, target, recompute, ...shape });
    return (plan.peakBytes / 2 ** 30).toFixed(2);
  });

const stepwise = { activationSlopes: 'stepwise' } as const;
/** What forward leaves to backward with exact slopes and with stepwise ones: GPT-2 medium, bf16, 16 x 256 tokens, MiB. */
const slopeRows: Readonly<Record<string, readonly [(more: MethodOptions) => Method, RecomputePolicy?]>> = {
  dense: [dense],
  'dense, recompute cheap': [dense, 'cheap'],
  'compact n/4, stored': [compact],
  'compact n/4, stored, int8 copies': [(more) => compact({ ...int8Copies, ...more })],
  'lora, r = 16, query and value': [(more) => lora({ r: 16, ...more })],
  'lora-fa, r = 16': [(more) => loraFa({ r: 16, ...more })],
};
const gpt2Medium = modelFromDescription({
  ...{ architecture: 'gpt2', vocabSize: 50257, nPositions: 1024, nEmbd: 1024 },
  ...{ nLayer: 24, nHead: 16 },
});

/** Weights, states, what forward leaves to backward, peak: LLaMA 350M, bf16, 16 x 256 tokens, MiB. */
function bytesOf(
  method: Method,
  recompute: RecomputePolicy = 'none',
  model: Model = llama('llama-350m'),
): readonly string[] {
  const shape = { batchSize: 16, sequenceLength: 256, dtype: 'bf16' } as const;
  const target = cpuTarget({ threads: 2 });
  const plan = compile({
    model,
    method,
    target,
    recompute,
    ...shape,
    entries: ['train'],
  });
  const { byKind, peakBytes } = memoryReport(plan);
  const { instructions, lifetimes } = plan.entries.step!;
  const boundary = instructions.findIndex(({ phase }) => phase === 'backward');
  const held = lifetimes
    .filter(({ first, last }) => first < boundary - 1 && last >= boundary)
    .map(({ value }) => plan.values[value]!)
    .filter(({ kind }) => kind === 'activation' || kind === 'compressedActivation')
    .reduce((sum, { bytes }) => sum + bytes, 0);
  return [byKind.parameter, byKind.optimizerState, held, peakBytes].map((bytes) =>
    (bytes / 2 ** 20).toFixed(1),
  );
}

const pages = [
  'adafactor',
  'adalomo',
  'adam-mini',
  'adamw',
  'adamw-8bit',
  'apollo',
  'apollo-mini',
  'badam',
  'compact',
  'dense',
  'dora',
  'fira',
  'flora',
  'foam',
  'galore',
  'ldadam',
  'lion',
  'lomo',
  'lora',
  'lora-fa',
  'mesa',
  'muon',
  'qlora',
  'quantization-aware',
  'relora',
  'rmnp',
  'saved-activations',
  'rso',
  'scale',
  'sgd',
];
describe.each(pages)('docs/methods/%s.md', (page) => {
  const text = readFileSync(join(__dirname, '..', '..', 'docs', 'methods', `${page}.md`), 'utf8');
  const table = [...text.matchAll(/^\| (.+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$/gm)];

  test('its table is what is planned', () => {
    expect(table.length).toBeGreaterThan(1);
    for (const [, label, ...numbers] of table)
      expect([label, ...numbers]).toEqual([label, ...bytesOf(...rows[label!]!)]);
  });
});

test.each(['lora', 'qlora'])('docs/methods/%s.md: peaks of the large model are what is planned', (page) => {
  const text = readFileSync(join(__dirname, '..', '..', 'docs', 'methods', `${page}.md`), 'utf8');
  const table = [...text.matchAll(/^\| (.+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$/gm)].filter(
    ([, label = '']) => label in ofLargeModel,
  );
  expect(table.length).toBeGreaterThan(1);
  for (const [, label, ...numbers] of table)
    expect([label, ...numbers]).toEqual([label, ...peaksOf(ofLargeModel[label!]!)]);
});

test('docs/methods/approx-bp.md: what is held is what is planned', () => {
  const text = readFileSync(join(__dirname, '..', '..', 'docs', 'methods', 'approx-bp.md'), 'utf8');
  const table = [...text.matchAll(/^\| (.+) \| ([\d.]+) \| ([\d.]+) \|$/gm)];
  expect(table.length).toBeGreaterThan(1);
  for (const [, label, ...numbers] of table) {
    const [methodWith, recompute] = slopeRows[label!]!;
    const held = [{}, stepwise].map((more) => bytesOf(methodWith(more), recompute, gpt2Medium)[2]);
    expect([label, ...numbers]).toEqual([label, ...held]);
  }
});
