import { rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Takes back what `makeFolders(folder)` made: removes `folder` and those above it, up to and including
 * `topmost` (what that gave; undefined: nothing was made, nothing is removed), from the leaf upwards, while they are
 * empty. What others have put into them since stays. Never throws: an empty folder that stays hurts nobody.
 */
export async function removeEmptyFolders(folder: string, topmost: string | undefined): Promise<void> {
  if (topmost === undefined) return;
  const last = resolve(topmost);
  for (let path = resolve(folder); ; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
    }
    if (path === last || path === dirname(path)) return;
  }
}
