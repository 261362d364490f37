import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { removeEmptyFolders } from './remove-empty-folders.js';

/**
 * Makes a folder, and those above it that are missing. Not by mkdir's `recursive`: where nothing can be made in a folder
 * that is there (/proc), that goes round for ever.
 * @returns the topmost folder that was made; undefined when the folder was there
 * @throws what mkdir throws; ENOENT also when somebody takes away a folder meanwhile
 */
export async function makeFolders(folder: string): Promise<string | undefined> {
  const path = resolve(folder);
  try {
    return (await makeOne(path)) ? path : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
  }
  const topmost = await makeFolders(dirname(path));
  try {
    return (await makeOne(path)) ? (topmost ?? path) : topmost;
  } catch (error) {
    await removeEmptyFolders(dirname(path), topmost);
    throw error;
  }
}

/** Whether the folder was made; false when it was there. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) return false;
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') await lstat(path); // throws if it has gone since
    throw error;
  }
}
