import type { Command } from 'commander';
import { environment, type Environment } from '../../runtime/index.js';
import { formatBytes } from '../format.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

export function registerInspect(program: Command, terminal: Terminal): void {
  const command = program
    .command('inspect')
    .summary('what this machine offers, for bug reports')
    .description(
      'Reports the package, the CPU, the instruction sets, the devices, the operations of the addon, and the hash of all ' +
        '65,536 projection values as computed by the running code. Every CUDA device runs a small kernel.',
    )
    .action(() => {
      const found = environment({ probe: true });
      terminal.object(found);
      const facts = describeEnvironment(found);
      const width = Math.max(...facts.map(([name]) => name.length));
      for (const [name, value] of facts) terminal.prose(value, `${name.padEnd(width)}  `);
    });
  addHelpAfter(command, { examples: [['compact-train inspect --json > environment.json']] });
}

function describeEnvironment({
  version,
  node,
  platform,
  cpu,
  memoryBytes,
  cuda,
  ops,
  projection,
}: Environment): [string, string][] {
  return [
    ['compact-train', `${version}, Node ${node}, ${platform}`],
    ['CPU', `${cpu.model}, ${cpu.threads} threads, ${formatBytes(memoryBytes)}`],
    ['features', cpu.features.join(' ')],
    ['instruction sets', `${cpu.instructionSets.join(' ')}; ${cpu.chosen} is used`],
    ...describeCuda(cuda),
    ['operations', `${ops.length}: ${ops.join(' ')}`],
    ...Object.entries(projection.sha256).map(([set, hash]): [string, string] => [`projection ${set}`, hash]),
  ];
}

function describeCuda({
  module,
  architectures,
  driver,
  runtime,
  devices,
  problem,
}: Environment['cuda']): [string, string][] {
  const facts: [string, string][] = [];
  if (module !== null) {
    facts.push(['CUDA module', module], ['CUDA code', architectures.join(' ')]);
    facts.push(['CUDA versions', `driver ${driver ?? 'none'}, runtime ${runtime ?? 'none'}`]);
  }
  for (const device of devices) {
    const { index, name, computeCapability, totalBytes, freeBytes } = device;
    const free = freeBytes === null ? '' : `, ${formatBytes(freeBytes)} free`;
    const state = device.problem ?? 'works';
    facts.push([
      `cuda:${index}`,
      `${name}, compute capability ${computeCapability}, ${formatBytes(totalBytes)}${free}: ${state}`,
    ]);
  }
  if (devices.length === 0) facts.push(['CUDA devices', `none: ${problem ?? ''}`]);
  return facts;
}
