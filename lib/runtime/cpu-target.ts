import type { Target } from '../compile/index.js';
import { checkOptions } from '../options.js';
import { addon } from './addon.js';
import { physicalCores } from './cpu.js';
import { calling } from './native-error.js';
import { targetTable } from './options.js';

/**
 * The CPU as a target of the compiler. Workspaces depend on the number of threads, so an engine must be opened with
 * as many as the plan was made for. Both take the physical cores of this machine by default: a plan for another machine
 * names its threads.
 * @param options.threads worker threads, 1 to 1024; default: physical cores of this machine
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT
 */
export function cpuTarget(options: { readonly threads?: number | undefined } = {}): Target {
  const context = { what: 'cpuTarget', code: 'ERR_COMPACT_ARGUMENT' } as const;
  const { threads = physicalCores() } = checkOptions(options, targetTable, context);
  return {
    device: 'cpu',
    workspaceBytes: ({ op, inputs, outputs, attributes }) =>
      calling(() => addon().workspaceBytes('cpu', op, inputs, outputs, attributes, threads)),
  };
}
