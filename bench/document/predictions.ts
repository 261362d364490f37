/** Times that arithmetic and traffic allow, and what kernels are expected to reach of them. */
import type { LlamaConfig } from '../../lib/models/index.js';
import type { DeviceLimits } from '../../lib/cli/bench/steps/device-limits.js';

/** Shares of the device's limits, and what does not scale. */
export interface Assumptions {
  readonly product: number;
  readonly projection: number;
  readonly compressedGradient: number;
  readonly update: number;
  readonly attention: number;
  readonly bandwidth: number;
  readonly launchUs: number;
  readonly launchesPerLayer: number;
  /** Of Phat, by the panel kernel. */
  readonly valuesPerSecond: number;
}

/** All that could be reached if nothing were lost but what attention loses by its nature. */
export const ideal: Assumptions = {
  product: 1,
  projection: 1,
  compressedGradient: 1,
  update: 1,
  attention: 0.6,
  bandwidth: 1,
  launchUs: 0,
  launchesPerLayer: 0,
  valuesPerSecond: 1.06e12,
};

/** What the designs aim at: products at a vendor library's rate, the rest a little below. */
export const aimed: Assumptions = {
  ...ideal,
  product: 0.9,
  projection: 0.82,
  compressedGradient: 0.8,
  update: 0.75,
  attention: 0.42,
  bandwidth: 0.85,
  launchUs: 2,
  launchesPerLayer: 25,
};

/** A compiler's dense step: the same products, element-wise kernels of its own making. */
export const compiled: Assumptions = { ...aimed, product: 0.85, bandwidth: 0.75, launchesPerLayer: 20 };

export interface StepShape {
  readonly model: LlamaConfig;
  readonly batch: number;
  readonly sequence: number;
}

export interface StepMethod {
  readonly method: 'dense' | 'compact';
  readonly rankRatio?: number;
  /** Norm outputs and SwiGLU products are made twice. */
  readonly rebuilds?: boolean;
  /** The whole forward pass is made twice. */
  readonly checkpoints?: boolean;
}

/** Milliseconds of one training step. */
export function stepMs(shape: StepShape, method: StepMethod, limits: DeviceLimits, a: Assumptions): number {
  const { hiddenSize: h, intermediateSize: f, numHiddenLayers: layers, vocabSize } = shape.model;
  const tokens = shape.batch * shape.sequence;
  const rate = limits.flopsPerSecond.bf16;
  const bandwidth = limits.bytesPerSecond * a.bandwidth;
  // Inputs that a projection compresses, with the widths that read them.
  const groups = [
    { n: h, m: 3 * h },
    { n: h, m: 2 * f },
    { n: f, m: h },
  ];
  const outputParameters = h * h;
  let seconds = 0;
  const product = (flops: number, share = a.product): void => void (seconds += flops / rate / share);
  const traffic = (bytes: number): void => void (seconds += bytes / bandwidth);
  for (const { n, m } of groups) {
    product(4 * tokens * n * m);
    if (method.method === 'dense') {
      product(2 * tokens * n * m);
      traffic(22 * n * m);
    } else {
      const r = n * method.rankRatio!;
      product(2 * tokens * n * r, a.projection);
      product(2 * tokens * r * m, a.compressedGradient);
      product(2 * n * r * m, a.update);
      traffic(22 * r * m);
      seconds += (2 * n * r) / a.valuesPerSecond;
    }
    if (method.checkpoints) product(2 * tokens * n * m);
  }
  product((method.checkpoints ? 8 : 6) * tokens * outputParameters);
  traffic(22 * outputParameters);
  product((method.checkpoints ? 9 : 7) * tokens * shape.sequence * h, a.attention);
  traffic((48 * h + 16 * f) * tokens * (method.checkpoints ? 1.33 : 1));
  if (method.rebuilds) traffic((8 * h + 6 * f) * tokens);
  seconds *= layers;
  product(6 * tokens * h * vocabSize);
  traffic(6 * tokens * vocabSize + 44 * h * vocabSize);
  return 1000 * seconds + (layers * a.launchesPerLayer * a.launchUs) / 1000;
}

/** One kernel of the benchmark (cuda/bench/cases.cc), at the size that it is timed at. */
export interface KernelPrediction {
  readonly kernel: string;
  readonly shape: string;
  readonly flops: number;
  readonly bytes: number;
  /** Of the floor, by the kernels there are; where it comes from is told in docs/kernels.md. */
  readonly share: number;
  /** Values of Phat, for the kernel that is limited by instructions. */
  readonly values?: number;
}

const [t, n, m, f, r, vocabulary, sequence] = [16384, 4096, 4096, 11008, 1024, 32000, 2048];
const [bf16, f32] = [2, 4];
// mma.sync reaches about half of what the tensor cores of a Hopper GPU can do, and nearly all of those before it.
const mmaSync = 0.45;

export const kernelPredictions: readonly KernelPrediction[] = [
  panel(n, r),
  panel(f, f / 4),
  product('z = x P', `${t}x${n}x${r}`, [t, n, r], mmaSync, bf16),
  product('y = x W', `${t}x${n}x${m}`, [t, n, m], mmaSync, bf16),
  product('dX = dY W^T', `${t}x${m}x${n}`, [t, m, n], mmaSync, bf16),
  product('dW = x^T dY', `${t}x${n}x${m}`, [n, t, m], mmaSync, f32),
  product('compressed gradient z^T dY', `${t}x${r}x${m}`, [r, t, m], mmaSync, f32),
  product('compressed gradient z^T dY', `${t}x${r / 4}x${(3 * m) / 4}`, [r / 4, t, (3 * m) / 4], 0.35, f32),
  {
    kernel: 'update W -= s P N',
    shape: `${n}x${m} rank ${r}`,
    flops: 2 * n * m * r,
    bytes: 4 * n * m + 2 * r * m,
    share: 0.43,
  },
  rows('low-rank Adam', `${r}x${m}`, 22 * r * m),
  rows('AdamW', `${n}x${m}`, 24 * n * m),
  rows('copy', `${t}x${n}`, 4 * t * n, 1),
  rows('residual add', `${t}x${n}`, 6 * t * n),
  rows('RMSNorm', `${t}x${n}`, 4 * t * n),
  rows('RMSNorm with residual', `${t}x${n}`, 8 * t * n),
  rows('RMSNorm backward', `${t}x${n}`, 8 * t * n),
  rows('rotary embedding', `${t}x${n}`, 4 * t * n),
  rows('SwiGLU', `${t}x${f}`, 6 * t * f),
  rows('SwiGLU backward', `${t}x${f}`, 10 * t * f),
  attention('attention', 2, 8, 0.42),
  attention('attention backward', 5, 16, 0.32),
  {
    kernel: 'output layer, loss and gradients',
    shape: `${t}x${n}x${vocabulary}`,
    flops: 6 * t * n * vocabulary,
    bytes: 4 * t * n + 6 * n * vocabulary,
    share: 0.43,
  },
];

function panel(rows: number, columns: number): KernelPrediction {
  const values = rows * columns;
  return { kernel: 'P panel', shape: `${rows}x${columns}`, flops: 0, bytes: bf16 * values, share: 1, values };
}

function product(
  kernel: string,
  shape: string,
  [rows, inner, columns]: readonly [number, number, number],
  share: number,
  outputBytes: number,
): KernelPrediction {
  const bytes = bf16 * (rows * inner + inner * columns) + outputBytes * rows * columns;
  return { kernel, shape, flops: 2 * rows * inner * columns, bytes, share };
}

function rows(kernel: string, shape: string, bytes: number, share = 0.85): KernelPrediction {
  return { kernel, shape, flops: 0, bytes, share };
}

function attention(kernel: string, products: number, tensors: number, share: number): KernelPrediction {
  const shape = `${t}x${n} sequence ${sequence}`;
  return { kernel, shape, flops: products * t * n * sequence, bytes: tensors * t * n, share };
}

/** Least microseconds by the device's limits; of the panel, by the instructions that it takes. */
export function floorUs({ flops, bytes, values }: KernelPrediction, limits: DeviceLimits): number {
  if (values !== undefined) return (1e6 * values) / ideal.valuesPerSecond;
  return 1e6 * Math.max(flops / limits.flopsPerSecond.bf16, bytes / limits.bytesPerSecond);
}

/** Of the tensor cores, by products of warpgroups (cuda/gemm/gemm_warpgroup.cuh) as they were first written. */
const warpgroup = 0.75 * aimed.product;
const productShares = { vendor: aimed.product, warpgroups: warpgroup } as const;

/** A product of stored operands by a library's product, in the time of `provider`'s, which makes P before x P. */
export function predictedShareOfLibrary(
  kernel: KernelPrediction,
  provider: keyof typeof productShares,
  limits: DeviceLimits,
): number {
  const floor = floorUs(kernel, limits);
  const panelUs = kernel.kernel === 'z = x P' ? floorUs(panel(n, r), limits) : 0;
  return floor / aimed.product / (floor / productShares[provider] + panelUs);
}

/** torch.randn, a product and an addition in place; normal numbers as in a first measurement of others. */
export function predictedTorchUpdateUs(limits: DeviceLimits): number {
  const randnValuesPerSecond = 0.35e12;
  const addBytes = 3 * bf16 * n * m;
  const seconds =
    (n * r) / randnValuesPerSecond +
    (2 * n * r * m) / limits.flopsPerSecond.bf16 / compiled.product +
    addBytes / limits.bytesPerSecond / compiled.bandwidth;
  return 1e6 * seconds;
}

export const predictedUs = (kernel: KernelPrediction, limits: DeviceLimits): number =>
  floorUs(kernel, limits) / kernel.share;
