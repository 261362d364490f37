import type { Target } from '../compile/index.js';
import { addon } from './addon.js';
import { checkWholeNumber } from './arguments.js';
import { physicalCores } from './cpu.js';
import { calling } from './native-error.js';

/**
 * The CPU as a target of the compiler. Workspaces depend on the number of threads, so an engine must be opened with
 * as many as the plan was made for.
 * @param options.threads worker threads; default: physical cores of this machine
 */
export function cpuTarget(options: { readonly threads?: number | undefined } = {}): Target {
  const threads = checkWholeNumber('threads', options.threads ?? physicalCores(), 1, 1024);
  return {
    device: 'cpu',
    workspaceBytes: ({ op, inputs, outputs, attributes }) =>
      calling(() => addon().workspaceBytes('cpu', op, inputs, outputs, attributes, threads)),
  };
}
