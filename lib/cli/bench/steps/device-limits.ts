import { copy, Graph } from '../../../graph/index.js';
import { Engine, environment, peakRate } from '../../../runtime/index.js';
import type { BenchDevice } from '../device.js';
import { gpuLimits } from './gpu-limits.js';
import { kernelPlan } from './kernel-plan.js';

/** The most that a device can do: what times of operations are held against. */
export interface DeviceLimits {
  readonly source: string;
  /** Of products, by the type of their operands. */
  readonly flopsPerSecond: { readonly f32: number; readonly bf16: number };
  /** Read and written together. */
  readonly bytesPerSecond: number;
}

/** Measured on a CPU, taken from a table for a GPU; undefined where neither is possible. */
export async function deviceLimits(device: BenchDevice, threads: number): Promise<DeviceLimits | undefined> {
  if (device.gpu !== undefined) return gpuLimits(device.gpu.name);
  const { chosen } = environment().cpu;
  const f32 = peakRate(chosen, 'f32', threads);
  const bf16 = peakRate(chosen, 'bf16', threads);
  if (f32 === undefined || bf16 === undefined) return undefined;
  const bytesPerSecond = await copyRate(device, threads);
  return { source: 'measured in this run', flopsPerSecond: { f32, bf16 }, bytesPerSecond };
}

const copiedBytes = 2 ** 28; // far beyond any cache, in and out
const numCopies = 5;

/** The best of a few copies of a large tensor by the engine's own threads. */
async function copyRate({ word, target }: BenchDevice, threads: number): Promise<number> {
  const graph = new Graph();
  copy(graph.input('x', [copiedBytes / 4], 'f32'));
  const plan = kernelPlan(graph, target);
  await using engine = await Engine.open({ device: word, threads });
  await engine.load(plan);
  let best = 0;
  for (let i = 0; i < numCopies; i++) {
    const { profileUs } = await engine.run('run', { profile: true });
    best = Math.max(best, (2 * copiedBytes) / (profileUs![0]! / 1e6));
  }
  return best;
}
