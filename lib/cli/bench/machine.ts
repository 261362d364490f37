import { availableParallelism, cpus, totalmem } from 'node:os';
import { environment } from '../../runtime/index.js';
import { packageVersion } from '../package-info.js';
import type { Machine } from './report.js';

/** What every figure has to be read against. */
export function thisMachine(): Machine {
  const { cpu } = environment();
  return {
    version: packageVersion,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: availableParallelism(),
    threads: cpu.threads,
    instructionSet: cpu.chosen,
    memoryBytes: totalmem(),
  };
}
