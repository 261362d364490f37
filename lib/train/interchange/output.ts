import { stat } from 'node:fs/promises';
import { compactError } from '../../errors.js';
import { onPath, systemCode } from '../../formats/index.js';

/**
 * Refuses a file or folder that is there: nothing that somebody made is written over.
 * @param op the option that names it, for the error
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CHECKPOINT_WRITE
 */
export function refuseExisting(path: string, op: 'folder' | 'file' = 'folder'): Promise<void> {
  return onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, async () => {
    const found = await stat(path).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
    if (found === undefined) return;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${path} is there already`, {
      op,
      expected: `the name of a ${op} that is not there yet`,
      remedy: `Choose another ${op}, or remove it`,
    });
  });
}
