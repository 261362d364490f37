import { availableParallelism } from 'node:os';
import { environment } from '../../runtime/index.js';
import type { BenchDevice } from './device.js';
import type { Machine } from './report.js';

/** What every figure has to be read against. */
export function thisMachine({ gpu }: Pick<BenchDevice, 'gpu'>): Machine {
  const { version, node, platform, cpu, memoryBytes } = environment();
  const { model, threads, chosen } = cpu;
  const cores = availableParallelism();
  return {
    version,
    node,
    platform,
    cpu: model,
    gpu: gpu?.name,
    cores,
    threads,
    instructionSet: chosen,
    memoryBytes,
  };
}

/** What the engines ran on, and beside a GPU the CPU. */
export const processors = ({ gpu, cpu }: Machine): string => (gpu === undefined ? cpu : `${gpu}, ${cpu}`);
