import { readFile, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';

/**
 * The status of a file that can be read from start to end. A pipe or a device may wait or go on for ever, so it is told
 * before it is opened.
 *
 * @throws Error saying what it is instead; what `stat` throws
 */
export async function regularFile(path: string): Promise<Stats> {
  const status = await stat(path);
  if (status.isFile()) return status;
  throw new Error(`${path} is ${kindOf(status)}, not a regular file`);
}

/** @throws Error when the file is larger than `maxBytes`; what `regularFile` throws */
export async function readRegularFile(path: string, maxBytes: number): Promise<string> {
  const { size } = await regularFile(path);
  if (size > maxBytes) throw new Error(`${path} has ${size} bytes; at most ${maxBytes} are read`);
  return readFile(path, 'utf8');
}

function kindOf(status: Stats): string {
  if (status.isDirectory()) return 'a folder';
  if (status.isFIFO()) return 'a pipe';
  return status.isSocket() ? 'a socket' : 'a device';
}
