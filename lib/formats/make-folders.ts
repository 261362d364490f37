import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { removeEmptyFolders } from './remove-empty-folders.js';

/**
 * Makes a folder, and those above it that are missing. Not by mkdir's `recursive`: where nothing can be made in a folder
 * that is there (/proc), that goes round for ever.
 * @returns the topmost folder that was made; undefined when the folder was there
 * @throws what mkdir throws
 */
export async function makeFolders(folder: string): Promise<string | undefined> {
  const path = resolve(folder);
  try {
    await mkdir(path);
    return path;
  } catch (error) {
    if (await isFolder(path)) return undefined;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
  }
  const topmost = await makeFolders(dirname(path));
  try {
    await mkdir(path);
    return topmost ?? path;
  } catch (error) {
    if (await isFolder(path)) return topmost; // somebody else has made it meanwhile
    await removeEmptyFolders(dirname(path), topmost);
    throw error;
  }
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
