import { join, sep } from 'node:path';

/**
 * A text of ours without where the server keeps things: of a path below its folder that remains which is below `files`,
 * `models` or `jobs`, ids and names that a client knows.
 */
export function withoutPaths(text: string, dataDirectory: string): string {
  const folders = ['files', 'models', 'jobs'].map((name) => join(dataDirectory, name) + sep);
  return [...folders, join(dataDirectory, sep)].reduce((left, path) => left.replaceAll(path, ''), text);
}
