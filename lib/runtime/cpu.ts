import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { cpuQuota } from './cpu-quota.js';

/**
 * Physical cores that this process may use; a second hardware thread of a core adds little to products. A container's
 * quota counts, rounded down: threads of one product wait for each other, so all of them wait when one is held back.
 */
export function physicalCores(quota = cpuQuota()): number {
  const available = Math.max(1, Math.min(availableParallelism(), Math.floor(quota)));
  if (process.platform !== 'linux') return available;
  const cores = new Set<string>();
  for (let i = 0; i < cpus().length; i++) {
    try {
      cores.add(readFileSync(`/sys/devices/system/cpu/cpu${i}/topology/thread_siblings_list`, 'utf8').trim());
    } catch {
      return available;
    }
  }
  return Math.max(1, Math.min(available, cores.size));
}

export const cpuModel = (): string => cpus()[0]?.model.trim() ?? 'unknown CPU';

/** Memory that this process may use: of the machine, or of its container where that is less. */
export function memoryBytes(): number {
  const constrained = process.constrainedMemory() ?? 0;
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
