import { element } from './elements.js';
import { formatBytes } from './format.js';
import type { ServerStatus } from './types.js';

/** How full each device is, and how many jobs of everybody run and wait. */
export const deviceLine = ({ devices, running, queued }: ServerStatus): readonly HTMLElement[] => [
  ...devices.map(({ name, memory_bytes: memory, taken_bytes: taken }) =>
    element(
      'span',
      {},
      `${name} `,
      element('meter', { max: memory, value: taken, 'aria-label': `memory of ${name} that jobs take` }),
      ` ${formatBytes(taken)} of ${formatBytes(memory)}`,
    ),
  ),
  element('span', {}, `${running} running, ${queued} queued`),
];
