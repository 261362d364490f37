/** Kills the processes of jobs at exact moments: just before they would have told something. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';

/** Jest has a process object of its own; children have the environment of the real one. */
const { env } = runInThisContext('process') as NodeJS.Process;

/** A moment: before a step is told, or before its checkpoint is, which is on the disk by then. */
export interface Moment {
  readonly step: number;
  readonly what: 'step' | 'checkpoint';
}

/** Runs in every process that is started by this one and its children: each moment ends one process. */
const script = (moments: readonly Moment[], log: string): string => `
  const { appendFileSync, existsSync, readFileSync } = require('node:fs');
  const moments = ${JSON.stringify(moments)};
  const log = ${JSON.stringify(log)};
  const numKilled = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\\n').length : 0);
  const next = moments[numKilled()];
  const send = process.send;
  if (next !== undefined && send !== undefined && process.argv[1].endsWith('job-worker.js'))
    process.send = function (message, ...others) {
      const { step, checkpoint } = message.message ?? {};
      if (step === next.step && (checkpoint !== undefined) === (next.what === 'checkpoint')) {
        appendFileSync(log, next.what + ' ' + step + '\\n');
        process.kill(process.pid, 'SIGKILL');
      }
      return send.call(this, message, ...others);
    };`;

/** Until it is disposed of, processes of jobs are killed, one at each of the moments in their order. */
export function killAt(
  folder: string,
  moments: readonly Moment[],
): Disposable & { readonly killed: () => readonly string[] } {
  const file = join(folder, 'kill.cjs');
  const log = join(folder, 'killed.txt');
  writeFileSync(file, script(moments, log));
  const before = env['NODE_OPTIONS'];
  env['NODE_OPTIONS'] = `${before ?? ''} --require ${file}`;
  return {
    killed: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    [Symbol.dispose]: () => {
      if (before === undefined) delete env['NODE_OPTIONS'];
      else env['NODE_OPTIONS'] = before;
    },
  };
}
