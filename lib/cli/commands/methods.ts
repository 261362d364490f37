import { Argument, type Command } from 'commander';
import { methodCatalogue, type CatalogueEntry } from '../../methods/index.js';
import type { OptionInfo } from '../../options.js';
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
    ['compact-train methods galore', 'its options, their defaults, and what goes with it'],
    ['compact-train methods --json', 'with every option, its type and its default'],
    ['compact-train plan -m llama-350m --method compact --optimizer adamw', 'what one of them needs'],
  ],
} as const;

export function registerMethods(program: Command, terminal: Terminal): void {
  const catalogue = methodCatalogue();
  const entries = [...catalogue.methods, ...catalogue.optimizers];
  const command = program
    .command('methods')
    .summary('methods and optimizers, and what goes together')
    .description('Lists the methods and the optimizers that models are trained with, or shows one of them.')
    .addArgument(new Argument('[name]', 'a method or an optimizer').choices(entries.map(({ name }) => name)));
  addHelpAfter(command, help);
  command.action((wanted: string | undefined) => {
    const entry = entries.find(({ name }) => name === wanted);
    terminal.object(entry ?? catalogue);
    if (entry === undefined) {
      printEntries(terminal, 'method', 'optimizers', catalogue.methods);
      terminal.line();
      printEntries(terminal, 'optimizer', 'methods', catalogue.optimizers);
    } else if (catalogue.methods.includes(entry)) printEntry(terminal, 'optimizers', entry, catalogue.common);
    else printEntry(terminal, 'methods', entry, []);
  });
}

function printEntries(
  terminal: Terminal,
  what: string,
  others: string,
  entries: readonly CatalogueEntry[],
): void {
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

function printEntry(
  terminal: Terminal,
  others: string,
  { name, source, options, composesWith, devices }: CatalogueEntry,
  common: readonly OptionInfo[],
): void {
  terminal.prose(`${terminal.style('bold', name)}: ${source}`);
  terminal.prose(`${others}: ${composesWith.join(', ')}`, '  ');
  terminal.prose(`devices: ${devices.join(', ')}`, '  ');
  for (const [title, infos] of [
    ['option', options],
    ['option of every method', common],
  ] as const) {
    if (infos.length === 0) continue;
    terminal.line();
    terminal.line(
      renderTable(
        [{ title }, { title: 'default' }, { title: 'may be' }],
        infos.map((info) => [
          info.name,
          info.default === null ? '' : JSON.stringify(info.default),
          info.type,
        ]),
      ),
    );
  }
}
