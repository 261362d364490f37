import { availableParallelism } from 'node:os';
import { environment } from '../../runtime/index.js';
import type { BenchDevice } from './device.js';

export interface Machine {
  readonly version: string; // of this package
  readonly node: string;
  readonly platform: string; // e.g. linux-x64
  readonly cpu: string;
  /** That the engines ran on, if they did. */
  readonly gpu?: string;
  readonly cores: number;
  readonly threads: number; // of the engine
  readonly instructionSet: string;
  readonly memoryBytes: number;
}

/** What every figure has to be read against. */
export function thisMachine({ gpu, threads }: Pick<BenchDevice, 'gpu' | 'threads'>): Machine {
  const { version, node, platform, cpu, memoryBytes } = environment();
  const { model, chosen } = cpu;
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
