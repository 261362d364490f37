import { readFile } from 'node:fs/promises';
import { systemCode } from '../formats/index.js';

/** The values of a file of JSON lines; none where there is no file. A line that was cut by a crash is none. */
export async function readJsonLines<T>(path: string): Promise<readonly T[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as T];
    } catch {
      return [];
    }
  });
}
