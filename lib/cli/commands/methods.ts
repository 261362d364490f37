import type { Command } from 'commander';
import { methodCatalogue, type CatalogueEntry } from '../../methods/index.js';
import { renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
A method says what layers keep, what gradients are and which parameters train; an optimizer turns gradients into steps.
Any method takes any of the optimizers beside it. Their options are keys below method in a recipe, and
--set method.KEY=VALUE in a shell.`,
  examples: [
    ['compact-train methods'],
    ['compact-train methods --json', 'with every option, its type and its default'],
    ['compact-train plan -m llama-350m --method compact --optimizer adamw', 'what one of them needs'],
  ],
} as const;

export function registerMethods(program: Command, terminal: Terminal): void {
  const command = program
    .command('methods')
    .summary('methods and optimizers, and what goes together')
    .description('Lists the methods and the optimizers that models are trained with.');
  addHelpAfter(command, help);
  command.action(() => {
    const catalogue = methodCatalogue();
    terminal.object(catalogue);
    print(terminal, 'method', 'optimizers', catalogue.methods);
    terminal.line();
    print(terminal, 'optimizer', 'methods', catalogue.optimizers);
  });
}

function print(terminal: Terminal, what: string, others: string, entries: readonly CatalogueEntry[]): void {
  terminal.line(
    renderTable(
      [{ title: what }, { title: 'published in' }, { title: 'options of its own' }, { title: others }],
      entries.map(({ name, source, options, composesWith }) => [
        name,
        source,
        options.map((option) => option.name).join(', '),
        composesWith.join(', '),
      ]),
    ),
  );
}
