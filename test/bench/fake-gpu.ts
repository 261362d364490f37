/** Programs that stand in for a GPU: what scripts/gpu-bench starts on a machine that has one, in no time. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const script = (file: string, text: string): void => {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
};

/**
 * A folder of programs for PATH. `node` answers with the source of a function of its words and of how often it was
 * asked them; each start appends the process to the file `started`. nvidia-smi knows a GPU by the name TEST;
 * `beforeMemory` are commands of its own before it tells the memory in use (MiB), the clock and the power.
 */
export function fakeMachine(
  folder: string,
  answer: string,
  beforeMemory = '',
): { readonly env: NodeJS.ProcessEnv; readonly started: string } {
  mkdirSync(folder, { recursive: true });
  const started = join(folder, 'started');
  const program = join(folder, 'program.cjs');
  writeFileSync(
    program,
    `const fs = require('node:fs');
const { spawn } = require('node:child_process');
const started = ${JSON.stringify(started)};
const line = process.argv.slice(3).join(' ');
const before = fs.existsSync(started) ? fs.readFileSync(started, 'utf8').split('\\n') : [];
fs.appendFileSync(started, process.pid + ' ' + line + '\\n');
const times = before.filter((other) => other.replace(/^\\d+ /, '') === line).length;
const result = (${answer})(line, times);
if (result === 'hang') setInterval(() => {}, 1000);
else if (result.failure) {
  console.log(JSON.stringify({ type: 'error', message: result.failure }));
  process.exitCode = 1;
} else console.log(JSON.stringify(result));
`,
  );
  script(join(folder, 'node'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  script(
    join(folder, 'nvidia-smi'),
    `#!/bin/sh
case "$*" in
  *name,driver*) echo 'TEST, 580.1'; exit ;;
  *compute_cap*) echo '9.0'; exit ;;
esac
${beforeMemory}
echo '1000, 1500, 300.5'
`,
  );
  return { env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` }, started };
}

/** A stand-in for compact-cuda-bench: prints these lines, says this, ends with this code. */
export function fakeBinary(file: string, body: string): string {
  script(file, `#!/bin/sh\n${body}\n`);
  return file;
}
