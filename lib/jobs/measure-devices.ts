import { join } from 'node:path';
import { memoryBytes as machineBytes } from '../runtime/cpu.js';
import { cudaReport } from '../runtime/index.js';
import type { JobDevice } from './device-memory.js';
import { runProcess } from './process/run-process.js';

/** What the rest of the machine, and this server, may need of what is free when it starts. */
const shareForJobs = 0.8;

/**
 * The devices of this machine, with what of their memory is free, and what would be without other programs. To ask a GPU takes some of it, so another process does
 * that, which is gone when this returns.
 * @param memoryLimitBytes of all jobs on the CPU. Default: 80 % of what this machine, or its container, has free
 */
export async function measureDevices(memoryLimitBytes?: number): Promise<readonly JobDevice[]> {
  const hasGpu = cudaReport().devices.some(({ problem }) => problem === null);
  const gpus = hasGpu
    ? await runProcess<readonly JobDevice[]>(join(__dirname, 'measure-gpus-worker.js'), undefined)
    : [];
  const shareOf = (bytes: number): number => memoryLimitBytes ?? Math.floor(shareForJobs * bytes);
  const cpu = { memoryBytes: shareOf(process.availableMemory()), capacityBytes: shareOf(machineBytes()) };
  return [{ name: 'cpu', ...cpu }, ...gpus];
}
