import { mkdir, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { onPath, systemCode } from './file-error.js';
import { syncFolder, writeNewFile } from './files.js';
import { temporaryName } from './temporaries.js';

const beside = (path: string): string => join(dirname(path), temporaryName(basename(path)));

/**
 * Makes a file that is either whole or as it was before, whenever the process or the machine stops: it is written under
 * a temporary name in the same folder and renamed when its bytes are on the disk. On any failure the temporary is
 * removed and what stood at `path` is untouched.
 *
 * @throws ERR_COMPACT_CHECKPOINT_WRITE when the disk is full, read-only or otherwise refuses, and what `write` throws
 */
export function writeFileAtomically(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  return appear(path, async (temporary) => {
    await writeNewFile(temporary, write);
    await rename(temporary, path);
  });
}

/**
 * The same for a folder. `make` fills it and waits for each of its files to be on the disk.
 * @throws ERR_COMPACT_CHECKPOINT_WRITE, and what `make` throws
 */
export function writeFolderAtomically(
  path: string,
  make: (temporaryPath: string) => Promise<void>,
): Promise<void> {
  return appear(path, async (temporary) => {
    await mkdir(temporary);
    await make(temporary);
    await syncFolder(temporary);
    await rename(temporary, path).catch(async (error: unknown) => {
      // One of an attempt that failed after its rename: systems replace files in one step, but no folders.
      if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EEXIST') throw error;
      await removeAtomically(path);
      await rename(temporary, path);
    });
  });
}

async function appear(path: string, make: (temporaryPath: string) => Promise<void>): Promise<void> {
  const temporary = beside(path);
  await onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, async () => {
    try {
      await make(temporary);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  });
}

/**
 * Removes a folder so that at no moment a part of it has its name: it gets a temporary one first. Where the removal
 * fails or is interrupted, `removeLeftovers` takes the rest.
 * @throws ERR_COMPACT_CHECKPOINT_WRITE
 */
export function removeAtomically(path: string): Promise<void> {
  return onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, async () => {
    const temporary = beside(path);
    await rename(path, temporary);
    await rm(temporary, { recursive: true, force: true });
  });
}
