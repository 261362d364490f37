import type { Command } from 'commander';
import type { Terminal } from '../terminal.js';
import { registerMemoryBench } from './memory/memory.js';
import { registerQualityBench } from './quality/quality.js';
import { registerStepTimeBench } from './steps/step-time.js';

export function registerBench(program: Command, terminal: Terminal): void {
  const bench = program
    .command('bench')
    .summary('measure memory, time and quality (default: memory)')
    .description('Benchmarks. Without a name: memory.')
    .addHelpText('after', '\nSee compact-train bench <name> --help for what each one measures.');
  registerMemoryBench(bench, terminal);
  registerStepTimeBench(bench, terminal);
  registerQualityBench(bench, terminal);
}
