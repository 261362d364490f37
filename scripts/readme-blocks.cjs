// The code blocks of a Markdown file, run in a folder where the package is installed, as a reader would run them one after
// the other: what stands behind ```ts is compiled strictly and run, ```js is run as an ES module, every line of ```sh is
// run by a shell. A block of any other language is an error, for nobody would notice when it stops being true.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const texts = ['bibtex', 'text', 'json'];

/** Commands of a clone of the repository: its first ones are run by what decides on changes, which begins with them. */
const isOfCheckout = (command) => /^(git clone |cd |npm (install( &&|$)|pack\b|test\b|run ))/.test(command);

/** What a reader waits for and a test should not, and what only some machines have. */
const shorter = [
  [/\bmaxSteps: \d+/g, 'maxSteps: 2'],
  [/\bcompact-train train [^|&#\n]*[^|&#\s]/g, (command) => `${command} --max-steps 2`],
  [/ --device cuda\b/g, ' --device auto'],
];

/** Blocks of a Markdown text: the word behind the fence, the code, and the line of the fence. */
function blocksOf(markdown) {
  const blocks = [];
  const lines = markdown.split('\n');
  for (let begin = 0; begin < lines.length; begin++) {
    if (!lines[begin].startsWith('```')) continue;
    const end = lines.indexOf('```', begin + 1);
    if (end < 0) throw new Error(`the block in line ${begin + 1} has no end`);
    const code = lines.slice(begin + 1, end).join('\n');
    blocks.push({ language: lines[begin].slice(3).trim(), code, line: begin + 1 });
    begin = end;
  }
  return blocks;
}

/** Commands of a shell block: a backslash at the end of a line joins it to the next, comments and empty lines are none. */
const commandsOf = (code) =>
  code
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');

/**
 * Runs the blocks of a file.
 * @param file Markdown
 * @param project folder with the package in node_modules, and a tsconfig.json
 * @param options packages: { name: what `npm install` takes in its place, undefined when it cannot be had here };
 *   only: languages to run, where others are left out
 * @throws for the first block that fails, with its line
 */
exports.runBlocks = (file, project, { packages, only }) => {
  const name = path.basename(file);
  for (const { language, code, line } of blocksOf(fs.readFileSync(file, 'utf8'))) {
    if (only === undefined ? texts.includes(language) : !only.includes(language)) continue;
    try {
      const short = shorter.reduce((text, [pattern, other]) => text.replace(pattern, other), code);
      runBlock({ language, code: short, name: `block-${line}`, project, packages });
      console.log(`${name}:${line}: ${language}, ok`);
    } catch (error) {
      throw new Error(`${name}:${line}: ${error.message}\n${error.stdout ?? ''}`, { cause: error });
    }
  }
};

function runBlock({ language, code, name, project, packages }) {
  const bin = path.join(project, 'node_modules', '.bin');
  const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` };
  const start = (command, ...words) =>
    execFileSync(command, words, { cwd: project, env, encoding: 'utf8', stdio: 'pipe' });
  const write = (extension) => fs.writeFileSync(path.join(project, `${name}.${extension}`), `${code}\n`);
  switch (language) {
    case 'sh':
      for (const command of commandsOf(code)) runCommand(command, packages, start);
      break;
    case 'js':
      write('mjs');
      start(process.execPath, `${name}.mjs`);
      break;
    case 'ts':
      write('mts');
      start('tsc', '-p', '.');
      start(process.execPath, `${name}.mjs`);
      break;
    default:
      throw new Error(`'${language}' is not run: use ts, js, sh, or for what is no code ${texts.join(', ')}`);
  }
}

function runCommand(command, packages, start) {
  if (isOfCheckout(command)) return console.log(`for a checkout: ${command}`);
  const installed = /^npm install (.*)$/.exec(command)?.[1].split(/\s+/);
  if (installed === undefined) return start('sh', '-c', command);
  const words = installed.map((word) => (word.startsWith('-') ? word : packageOf(word, packages)));
  if (words.includes(undefined)) return console.log(`skipped: ${command}: not everything can be had here`);
  return start('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', ...words);
}

/** What stands for a package in a document: its name, or its tarball as `npm pack` names it. */
function packageOf(word, packages) {
  const name = /^\.\/(.+)-\d+\.\d+\.\d+\.tgz$/.exec(word)?.[1] ?? word;
  if (!Object.hasOwn(packages, name))
    throw new Error(`npm install ${word}: not one of ${Object.keys(packages).join(', ')}`);
  return packages[name];
}
