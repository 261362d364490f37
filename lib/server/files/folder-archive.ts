import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as TarStream from 'tar-stream';
import { optionalPackage } from '../../jobs/optional-package.js';

/**
 * All files of a folder as a tar archive, made while it is read, below a folder of one name.
 * @throws ERR_COMPACT_PACKAGE_MISSING; the stream fails with what reading throws
 */
export function folderArchive(folder: string, name: string): Readable {
  const { pack } = optionalPackage(
    'tar-stream',
    'an archive',
    () => require('tar-stream') as typeof TarStream,
  );
  const archive = pack();
  const write = async (): Promise<void> => {
    for (const file of await filesBelow(folder)) {
      const { size, mtime } = await stat(join(folder, file));
      const entry = archive.entry({ name: `${name}/${file.replaceAll(sep, '/')}`, size, mtime, mode: 0o644 });
      await pipeline(createReadStream(join(folder, file)), entry);
    }
    archive.finalize();
  };
  write().catch((error: Error) => archive.destroy(error));
  return Readable.from(archive, { objectMode: false });
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
