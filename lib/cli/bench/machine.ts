import { availableParallelism } from 'node:os';
import { environment } from '../../runtime/index.js';
import type { Machine } from './report.js';

/** What every figure has to be read against. */
export function thisMachine(): Machine {
  const { version, node, platform, cpu, memoryBytes } = environment();
  const { model, threads, chosen } = cpu;
  const cores = availableParallelism();
  return { version, node, platform, cpu: model, cores, threads, instructionSet: chosen, memoryBytes };
}
