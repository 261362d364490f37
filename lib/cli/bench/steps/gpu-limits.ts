import type { DeviceLimits } from './device-limits.js';

/**
 * What GPUs reach: dense bf16 products with fp32 sums on tensor cores, fp32 multiply-adds, memory. H200: measured with a
 * library's products on random numbers and with a copy, both sustained at the power limit. The others: NVIDIA's data
 * sheets without sparsity, which no program sustains; shares against them come out a little low.
 */
const known: readonly (readonly [name: string, bf16Teraflops: number, f32Teraflops: number, gigabytesPerSecond: number])[] =
  [
    ['H200', 790, 67, 4300],
    ['H100 PCIe', 756, 51, 2039],
    ['H100', 989, 67, 3352],
    ['B200', 2250, 75, 8000],
    ['A100-PCIE-40GB', 312, 19.5, 1555],
    ['A100-SXM4-40GB', 312, 19.5, 1555],
    ['A100', 312, 19.5, 2039],
    ['A10', 125, 31.2, 600],
    ['RTX A6000', 154.8, 38.7, 768],
    ['L40S', 362, 91.6, 864],
    ['L4', 121, 30.3, 300],
    ['RTX 3090', 71, 35.6, 936],
    ['RTX 4090', 165.2, 82.6, 1008],
    ['RTX 5090', 209.5, 104.8, 1792],
  ]; // prettier-ignore

/** Limits of the GPU of this name; undefined when it is not known. */
export function gpuLimits(name: string): DeviceLimits | undefined {
  const found = known.find(([model]) => new RegExp(`(^|[ -])${model}($|[ -])`).test(name));
  if (found === undefined) return undefined;
  const [model, bf16, f32, gigabytesPerSecond] = found;
  return {
    source: `${model}, from a table`,
    flopsPerSecond: { bf16: bf16 * 1e12, f32: f32 * 1e12 },
    bytesPerSecond: gigabytesPerSecond * 1e9,
  };
}
