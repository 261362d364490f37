import type { KindBytes } from '../../lib/cli/bench/charts/palette.js';
import {
  reportVersion,
  type BenchReport,
  type DemoRun,
  type LossPoint,
  type PlannedPeak,
  type PlannedTable,
  type Timeline,
  type TimelineBlock,
  type TimelineInstruction,
} from '../../lib/cli/bench/memory/report.js';

/** A report with made-up but plausible numbers, to draw and to print without training anything. */
export function fixtureReport(): BenchReport {
  return {
    type: 'bench-memory',
    reportVersion,
    createdAt: '2025-06-01T12:00:00.000Z',
    quick: false,
    machine: {
      version: '0.1.0',
      node: '20.20.2',
      platform: 'linux-x64',
      cpu: 'Example CPU <8> & more',
      cores: 2,
      threads: 2,
      instructionSet: 'avx512',
      memoryBytes: 16 * 2 ** 30,
    },
    planned: [plannedTable('ours'), plannedTable('published')],
    savings: ['llama-60m', 'llama-350m', 'llama-1b'].flatMap((model, size) =>
      [1 / 2, 1 / 4, 1 / 8].map((rankRatio) => ({
        model,
        rankRatio,
        plannedBytes: (size + 1) * (1 - rankRatio) * 2 ** 30,
        publishedBytes: size === 2 ? undefined : (size + 1.01) * (1 - rankRatio) * 2 ** 30,
      })),
    ),
    timelines: [
      { title: 'llama-350m, 32,768 tokens, bf16', variant: 'dense', ...timeline(24, 1) },
      { title: 'llama-350m, 32,768 tokens, bf16', variant: 'compact n/4, lazy', ...timeline(24, 0.45) },
    ],
    demo: {
      model: { hiddenSize: 192 },
      numParameters: 1_800_000,
      corpus: 'sotu',
      tokenizer: 'bytes',
      batchSize: 8,
      sequenceLength: 256,
      maxSteps: 300,
      dtype: 'f32',
      seed: 42,
      runs: [demoRun('dense', 0.001, 0, 1), demoRun('compact n/4, lazy', 0.01, 0.012, 0.6)],
    },
    durationSeconds: 240.4,
  };
}

const variants: readonly (readonly [string, KindBytes])[] = [
  [
    'dense',
    { parameter: 0.7, optimizerState: 1.4, gradient: 0.1, activation: 26, logits: 0.2, workspace: 0.1 },
  ],
  [
    'dense, cheap recompute',
    { parameter: 0.7, optimizerState: 1.4, gradient: 0.1, activation: 19, logits: 0.2 },
  ],
  [
    'dense, layer checkpointing',
    { parameter: 0.7, optimizerState: 1.4, gradient: 0.1, activation: 3, logits: 0.2 },
  ],
  [
    'compact n/4, stored',
    {
      parameter: 0.7,
      optimizerState: 0.6,
      gradient: 0.1,
      activation: 18,
      compressedActivation: 0.9,
      logits: 0.2,
    },
  ],
  ['compact n/4, lazy', { parameter: 0.7, optimizerState: 0.6, gradient: 0.1, activation: 18, logits: 0.2 }],
  [
    'compact n/4, lazy, layer checkpointing',
    { parameter: 0.7, optimizerState: 0.6, gradient: 0.1, activation: 2.5, logits: 0.2 },
  ],
];

function plannedTable(accounting: 'ours' | 'published'): PlannedTable {
  const sizes = { 'llama-60m': 0.2, 'llama-350m': 1, 'llama-7b': 9 };
  const models = Object.entries(sizes).map(([model, size]) => {
    const peaks = variants.map(([variant, gib]) => peak(variant, gib, size));
    const plain = peaks[0]!.peakBytes;
    const selective = peaks[1]!.peakBytes;
    const checkpointed = peaks[2]!.peakBytes;
    return {
      model,
      numParameters: Math.round(368e6 * size),
      peaks: peaks.map((p) => ({
        ...p,
        shareOfPlain: p.peakBytes / plain,
        shareOfSelective: p.peakBytes / selective,
        shareOfCheckpointed: p.peakBytes / checkpointed,
      })),
    };
  });
  return { accounting, batchSize: 128, sequenceLength: 256, dtype: 'bf16', threads: 2, models };
}

function peak(variant: string, gib: KindBytes, size: number): PlannedPeak {
  const byKind = Object.fromEntries(
    Object.entries(gib).map(([kind, value]) => [kind, Math.round(value * size * 2 ** 30)]),
  );
  const peakBytes = Object.values(byKind).reduce((a, b) => a + b, 0);
  const persistentBytes = byKind['parameter']! + byKind['optimizerState']!;
  const arenaBytes = peakBytes - persistentBytes;
  return {
    variant,
    peakBytes,
    persistentBytes,
    arenaBytes,
    arenaLowerBoundBytes: arenaBytes,
    byKind,
    shareOfPlain: 1,
    shareOfSelective: 1,
    shareOfCheckpointed: 1,
    planSeconds: 0.1,
  };
}

/** A step of a made-up network: forward keeps one block a layer, backward frees them in reverse. */
function timeline(layers: number, share: number): Timeline {
  const mib = 2 ** 20;
  const instructions: TimelineInstruction[] = [];
  const blocks: TimelineBlock[] = [];
  const total = layers * 4;
  for (let i = 0; i < total; i++) {
    const forward = i < total / 2;
    const layer = forward ? Math.floor(i / 2) : Math.floor((total - 1 - i) / 2);
    const op = forward ? ['rmsNorm', 'matmul'][i % 2]! : ['matmul', 'adamW'][i % 2]!;
    instructions.push({
      op,
      layer: `layers.${layer}`,
      phase: forward ? 'forward' : i % 2 ? 'update' : 'backward',
    });
  }
  const bytes = Math.round(400 * share) * mib;
  for (let layer = 0; layer < layers; layer++) {
    const first = 2 * layer;
    const last = total - 1 - 2 * layer;
    const place = { layer: `layers.${layer}`, first, last, madeBy: first, lastReadBy: last };
    blocks.push({
      name: `layers.${layer}/input`,
      kind: 'activation',
      offset: layer * (bytes + 40 * mib),
      bytes,
      ...place,
    });
    const offset = layer * (bytes + 40 * mib) + bytes;
    blocks.push({
      name: `layers.${layer}/z`,
      kind: 'compressedActivation',
      offset,
      bytes: 40 * mib,
      ...place,
    });
  }
  const arenaBytes = layers * (bytes + 40 * mib);
  const persistent = { parameter: 700 * mib, optimizerState: 1400 * share * mib };
  const peakBytes = arenaBytes + persistent.parameter + persistent.optimizerState;
  return { peakBytes, persistent, arenaBytes, instructions, blocks };
}

function demoRun(variant: string, learningRate: number, lossGap: number, share: number): DemoRun {
  const losses: LossPoint[] = Array.from({ length: 300 }, (_, i) => ({
    step: i + 1,
    numTokens: (i + 1) * 2048,
    loss:
      (1.75 + 3.8 * Math.exp(-i / 45)) * (1 + lossGap) + 0.06 * Math.sin(12.9898 * i) * Math.cos(78.233 * i),
  }));
  const evaluations = losses.filter((point) => point.step % 50 === 0);
  const finalLoss = evaluations.at(-1)!.loss;
  const plannedBytes = Math.round(64 * share) * 2 ** 20;
  return {
    variant,
    learningRate,
    otherLearningRate: 0.02,
    losses,
    evaluations,
    finalLoss,
    perplexity: Math.exp(finalLoss),
    lossGap,
    tokensPerSecond: 21_000,
    plannedBytes,
    allocatedBytes: plannedBytes,
    processBytes: plannedBytes + 90 * 2 ** 20,
    baseProcessBytes: 88 * 2 ** 20,
    eventLoopDelayP99Ms: 1.2,
    byKind: { parameter: plannedBytes / 2, activation: plannedBytes / 2 },
    sample: { prompt: 'My fellow Americans, ', text: '<the> state of the Union & its people' },
  };
}
