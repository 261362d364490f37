import { fork, type ChildProcess } from 'node:child_process';
import { compactError } from '../../errors.js';
import { revivedError } from './plain-error.js';
import type { ChildMessage, ParentMessage } from './process-messages.js';

export interface ProcessOptions<Message> {
  /** Called with each message of the task, in their order. */
  readonly onMessage?: (message: Message) => void;
  /** Asks the task for an end: what it makes of that is its outcome. */
  readonly stop?: AbortSignal | undefined;
  /** Kills the process; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What of a process's standard error is kept, in characters. */
const tailLength = 4096;

/**
 * Runs a module that calls `serveTask` in a process of its own, whose memory and faults are its own. Input, messages and outcome
 * are what structured clones hold. Settles when the process has ended, so that what it held is free.
 *
 * @param module path of the JavaScript file
 * @throws the task's error with its fields; ERR_COMPACT_JOB_LOST when the process ends without an outcome, with its
 *   signal or exit code and the end of its standard error; what `signal` was aborted with
 */
export async function runProcess<Outcome, Message = never>(
  module: string,
  input: unknown,
  { onMessage, stop, signal }: ProcessOptions<Message> = {},
): Promise<Outcome> {
  signal?.throwIfAborted();
  const child = fork(module, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const kill = (): void => void child.kill('SIGKILL');
  const askToStop = (): void => send(child, { type: 'stop' });
  signal?.addEventListener('abort', kill);
  stop?.addEventListener('abort', askToStop);
  send(child, { type: 'input', input });
  if (stop?.aborted === true) askToStop();
  try {
    return (await outcomeOf(child, (message) => onMessage?.(message as Message))) as Outcome;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', kill);
    stop?.removeEventListener('abort', askToStop);
  }
}

/** A child that is gone already is told of by its end. */
const send = (child: ChildProcess, message: ParentMessage): void => void child.send(message, () => {});

function outcomeOf(child: ChildProcess, onMessage: (message: unknown) => void): Promise<unknown> {
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-tailLength);
  });
  return new Promise((resolve, reject) => {
    let settle: (() => void) | undefined;
    child.on('message', (message: ChildMessage) => {
      if (message.type === 'message') onMessage(message.message);
      else if (message.type === 'outcome') settle = () => resolve(message.outcome);
      else settle = () => reject(revivedError(message.error));
    });
    child.on('error', (cause) => {
      if (child.pid === undefined) reject(cause); // it never began
    });
    // All that it has sent has been read by then.
    child.on('close', (code, killedBy) =>
      settle === undefined ? reject(lost(code, killedBy, stderr)) : settle(),
    );
  });
}

function lost(exitCode: number | null, killedBy: NodeJS.Signals | null, stderr: string): Error {
  const how = killedBy === null ? `with exit code ${exitCode}` : `by ${killedBy}`;
  const lastWords = stderr.trim();
  return compactError('ERR_COMPACT_JOB_LOST', `the process of a job was ended ${how}, without an outcome`, {
    ...(lastWords !== '' && { received: `on its standard error: ${lastWords}` }),
    ...(killedBy === 'SIGKILL' && {
      remedy: 'Look into the log of the system: it kills what takes too much memory',
    }),
    details: { exitCode, signal: killedBy, stderr },
  });
}
