/** A file that is refused at its first bytes: whoever removes it then removes all that there will be of it. */
import { expect, jest, test } from '@jest/globals';
import fs, { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { receiveFile } from '../../lib/server/files/receive-file.js';
import { makeFolder } from '../helpers/tiny-run.js';

const { folder } = makeFolder();

test('is not made after it was refused, however long the disk takes to make it', async () => {
  const path = join(folder, 'upload');
  const open = fs.open as (...all: unknown[]) => void;
  const spy = jest.spyOn(fs, 'open').mockImplementation((...all: unknown[]) => {
    setTimeout(() => open(...all), 50);
  });
  try {
    const limits = { fileBytes: 100, lineBytes: 100, fileLines: 10 };
    const received = receiveFile(path, Readable.from([gzipSync('{}')]), limits);
    await expect(received).rejects.toMatchObject({ message: expect.stringContaining('compressed') });
    rmSync(path, { force: true });
    await sleep(150);
    expect(existsSync(path)).toBe(false);
  } finally {
    spy.mockRestore();
  }
});
