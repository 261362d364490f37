// Writes docs/reference/command-line.md from the commands' own definitions.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const page = path.join(path.resolve(__dirname, '..'), 'docs', 'reference', 'command-line.md');

const introduction = `# The command line

Made from the definitions of the commands by \`scripts/docs-command-line.cjs\`; what each prints with \`--help\` is the same.
Flags of \`train\` and \`plan\` that name a key in brackets are short for \`--set key=value\`, and win over the recipe.`;

/** The page of a program of commander: one section for each command, in the order of its help. */
function commandLinePage(program) {
  const sections = [program, ...below(program)].map(commandSection);
  return `${[introduction, ...sections].join('\n\n')}\n`;
}

const below = (command) => command.commands.flatMap((inner) => [inner, ...below(inner)]);

function commandSection(command) {
  const help = command.createHelp();
  const usage = help.commandUsage(command);
  const name = usage.replace(/ [[<].*/, '');
  const isProgram = command.parent === null;
  const parts = [
    `## ${name}`,
    help.commandDescription(command).replaceAll('\n', ' '),
    `\`${usage}\``,
    table('argument', help.visibleArguments(command), help.argumentTerm, help.argumentDescription),
    table(
      isProgram ? 'option of every command' : 'option',
      optionsOf(command, help),
      help.optionTerm,
      (option) => help.optionDescription(option),
    ),
    textAfterHelp(command),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Without --help, which every command has. */
const optionsOf = (command, help) => help.visibleOptions(command).filter(({ long }) => long !== '--help');

function table(title, items, term, description) {
  if (items.length === 0) return '';
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
  const rows = items.map((item) => `| \`${term(item)}\` | ${cell(description(item))} |`);
  return [`| ${title} | |`, '|---|---|', ...rows].join('\n');
}

/** What a command says behind its flags, on a page of a hundred columns whatever the screen is. */
function textAfterHelp(command) {
  let text = '';
  const output = command.configureOutput();
  command.configureOutput({
    ...output,
    getOutHelpWidth: () => 100,
    writeOut: (piece) => (text += piece),
  });
  command.outputHelp();
  const own = command.helpInformation();
  command.configureOutput(output);
  const after = text.slice(own.length).trim();
  return after === '' ? '' : `\`\`\`text\n${after}\n\`\`\``;
}

module.exports = { commandLinePage, page };

if (require.main === module) {
  const { createProgram } = require('../dist/cli/program.js');
  const { Terminal } = require('../dist/cli/terminal.js');
  const text = commandLinePage(createProgram({ terminal: new Terminal(), args: [], finish: () => {} }));
  const isStale = !fs.existsSync(page) || fs.readFileSync(page, 'utf8') !== text;
  fs.mkdirSync(path.dirname(page), { recursive: true });
  fs.writeFileSync(page, text);
  console.log(isStale ? `written: ${page}` : 'nothing has changed');
}
