import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { systemCode } from './file-error.js';

/** Opens a file, works with it and closes it. A failure to close is told only where the work went well. */
export async function withFile<T>(
  path: string,
  flags: 'r' | 'wx',
  work: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags);
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    await closeQuietly(file);
    throw error;
  }
  await file.close();
  return result;
}

/** Opens a file for reading; undefined for what is no regular file, as a pipe, which one could wait for without end. */
export async function openRegular(path: string): Promise<FileHandle | undefined> {
  return (await stat(path)).isFile() ? open(path, 'r') : undefined;
}

/** Makes a new file, with the rights that the umask leaves, and waits until it is on the disk. */
export function writeNewFile<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  return withFile(path, 'wx', async (file) => {
    const result = await write(file);
    await file.sync();
    return result;
  });
}

/** Closes a file that was only read, or that is given up: nothing can be lost by it, so no failure matters. */
export async function closeQuietly(file: FileHandle): Promise<void> {
  await file.close().catch(() => undefined);
}

/** Writes all bytes, from a position on or behind what was written last; the system may take a part at a time. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const at = position === undefined ? null : position + done;
    done += (await file.write(bytes, done, bytes.byteLength - done, at)).bytesWritten;
  }
}

/** Fills `bytes` from a position on; returns how many there were before the end of the file. */
export async function readFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesRead } = await file.read(bytes, done, bytes.byteLength - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** What systems and file systems say that cannot wait for folders; they keep names safe in their own way. */
const foldersCannotBeSynced = new Set(['EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Waits until the names in a folder are on the disk, where the system can do that. */
export async function syncFolder(path: string): Promise<void> {
  try {
    await withFile(path, 'r', (folder) => folder.sync());
  } catch (error) {
    if (!foldersCannotBeSynced.has(systemCode(error) ?? '')) throw error;
  }
}
