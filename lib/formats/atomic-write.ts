import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { compactError, isCompactError } from '../errors.js';

const temporarySuffix = '.partial';

/** Whether a name in a folder is what an interrupted write left behind. */
export const isTemporaryName = (name: string): boolean =>
  name.startsWith('.') && name.endsWith(temporarySuffix);

/**
 * Makes a file or folder that is either whole or absent, whenever the process or the machine stops: `make` builds it
 * under a temporary name in the same folder, which is renamed when its bytes are on the disk. Files inside a folder
 * must be synced by `make`. On any failure the temporary is removed and what stood at `path` is untouched.
 *
 * @throws ERR_COMPACT_CHECKPOINT_WRITE when the disk is full, read-only or otherwise refuses.
 */
export async function writeAtomically(
  path: string,
  make: (temporaryPath: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  const temporaryPath = join(
    folder,
    `.${basename(path)}.${process.pid}-${randomBytes(4).toString('hex')}${temporarySuffix}`,
  );
  try {
    await make(temporaryPath);
    await sync(temporaryPath);
    await rename(temporaryPath, path);
    await sync(folder);
  } catch (error) {
    await rm(temporaryPath, { recursive: true, force: true });
    throw isCompactError(error) ? error : writeError(path, error);
  }
}

/** Waits until the bytes of a file, or the names in a folder, are on the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeError(path: string, cause: unknown): Error {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const remedies: Record<string, string> = {
    ENOSPC: 'Free some space on that disk; earlier checkpoints are intact',
    EDQUOT: 'Free some of the quota on that disk; earlier checkpoints are intact',
    EFBIG: 'Raise the limit on file sizes; earlier checkpoints are intact',
    EACCES: 'Choose a folder that this user may write to',
    EROFS: 'Choose a folder on a writable disk',
  };
  return compactError('ERR_COMPACT_CHECKPOINT_WRITE', `${path} could not be written`, {
    received: cause instanceof Error ? cause.message : (code ?? String(cause)),
    remedy: (code !== undefined ? remedies[code] : undefined) ?? 'Earlier checkpoints are intact',
    cause,
  });
}
