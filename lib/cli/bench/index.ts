import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';
import { registerCellBench } from './cell.js';
import { registerKernelsBench } from './kernels.js';
import { registerLossesBench } from './losses.js';
import { registerMemoryBench } from './memory.js';
import { registerQualityBench } from './quality.js';
import { registerStepTimeBench } from './step-time.js';

export function registerBench(program: Command, terminal: Terminal): void {
  const bench = program
    .command('bench')
    .summary('measure memory, time and quality (default: memory)')
    .description('Benchmarks. Without a name: memory.')
    .addHelpText('after', '\nSee compact-train bench <name> --help for what each one measures.');
  registerMemoryBench(bench, terminal);
  registerStepTimeBench(bench, terminal);
  registerKernelsBench(bench, terminal);
  registerQualityBench(bench, terminal);
  registerCellBench(bench, terminal);
  registerLossesBench(bench, terminal);
}
