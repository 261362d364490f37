import type { Command } from 'commander';
import { environment } from '../../runtime/index.js';
import type { Terminal } from '../terminal.js';

export function registerInspect(program: Command, terminal: Terminal): void {
  program
    .command('inspect')
    .summary('what this machine offers, for bug reports')
    .description(
      'Reports the package, the CPU, the instruction sets, the devices, the operations of the addon, and the hash of all\n' +
        '65,536 projection values as computed by the running code.',
    )
    .addHelpText('after', '\nExample:\n  compact-train inspect --json > environment.json')
    .action(() => {
      const found = environment();
      terminal.object(found);
      for (const line of describe(found as unknown as Record<string, unknown>)) terminal.line(line);
    });
}

/** Nested facts as indented lines; lists of words on one line. */
function describe(facts: Readonly<Record<string, unknown>>, indent = ''): string[] {
  const width = Math.max(...Object.keys(facts).map((key) => key.length));
  return Object.entries(facts).flatMap(([key, value]) => {
    if (Array.isArray(value) && value.every((item) => typeof item === 'string'))
      return [`${indent}${key.padEnd(width)}  ${value.join(' ')}`];
    if (Array.isArray(value))
      return [`${indent}${key}`, ...value.flatMap((item) => describe(item as Record<string, unknown>, `${indent}  `))];
    if (typeof value === 'object' && value !== null)
      return [`${indent}${key}`, ...describe(value as Record<string, unknown>, `${indent}  `)];
    return [`${indent}${key.padEnd(width)}  ${String(value)}`];
  });
}
