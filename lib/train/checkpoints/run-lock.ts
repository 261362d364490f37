import { FolderLock } from './folder-lock.js';
import type { FolderUse } from './folder-lock.js';

const outputFolder: FolderUse = {
  fileName: 'run.lock',
  holder: 'run',
  op: 'outputDirectory',
  unusable: {
    code: 'ERR_COMPACT_CHECKPOINT_WRITE',
    as: 'an output folder',
    remedy: 'Choose a folder that this user may write to, on a disk that has space left',
  },
  whenHeld:
    'Choose another output folder, or end that run: its lock goes with it, and no file has to be removed',
  whenLost:
    'This run stood still for too long, on a file system without locks: go on in another folder, or after that run',
};

/** The right to write into an output folder, held by one run at a time through the file `run.lock` in it. */
export type RunLock = FolderLock;

export const RunLock = {
  /**
   * @param options.heartbeatMs for tests
   * @throws ERR_COMPACT_OUTPUT_LOCKED, ERR_COMPACT_CHECKPOINT_WRITE when the folder cannot be made or written
   */
  acquire: (folder: string, options: { readonly heartbeatMs?: number } = {}): Promise<RunLock> =>
    FolderLock.acquire(folder, outputFolder, options),
};
