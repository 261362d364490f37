import { plainError } from './plain-error.js';
import type { ChildMessage, ParentMessage } from './process-messages.js';

/** What a task has of its parent. */
export interface TaskContext<Message> {
  /** Tells the parent something. */
  readonly tell: (message: Message) => void;
  /** Aborted when the parent asks for an end. */
  readonly stop: AbortSignal;
}

/**
 * The child's side of `runProcess`: takes the input, runs the task, sends its outcome or its error, and ends the process. When
 * the parent goes away it ends at once, for nobody waits for it; what is on the disk is whole at any moment.
 */
export function serveTask<Message>(
  run: (input: never, context: TaskContext<Message>) => Promise<unknown>,
): void {
  // An orderly exit would wait for work that is under way.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // Terminals and service managers send them to the parent as well, which decides what becomes of this process.
  for (const name of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(name, () => {});
  const stopping = new AbortController();
  process.on('message', (message: ParentMessage) => {
    if (message.type === 'stop') return stopping.abort();
    const context = {
      tell: (told: Message) => void send({ type: 'message', message: told }),
      stop: stopping.signal,
    };
    void run(message.input as never, context)
      .then((outcome) => send({ type: 'outcome', outcome }))
      .catch((error: unknown) => send({ type: 'error', error: plainError(error) }))
      .then(() => process.exit());
  });
}

const send = (message: ChildMessage): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error) => (error ? reject(error) : resolve()));
  });
