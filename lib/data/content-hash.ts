import { createHash } from 'node:crypto';
import { compactError } from '../errors.js';
import { closeQuietly, onPath, openRegular } from '../formats/index.js';

/** Bytes that are read at a time. */
const pieceBytes = 2 ** 20;

/**
 * SHA-256 of the bytes of a file, in hexadecimal.
 * @throws ERR_COMPACT_DATA_READ, ERR_COMPACT_ABORTED
 */
export function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  return onPath('ERR_COMPACT_DATA_READ', path, async () => {
    const file = await openRegular(path);
    if (file === undefined)
      throw compactError('ERR_COMPACT_DATA_READ', `${path} is no regular file`, {
        op: 'data',
        expected: 'a file that can be read again, no pipe or device',
        remedy: 'Write its text to a file first',
      });
    try {
      const hash = createHash('sha256');
      const bytes = Buffer.allocUnsafe(pieceBytes);
      for (;;) {
        if (signal?.aborted === true)
          throw compactError('ERR_COMPACT_ABORTED', 'reading the text was aborted', { cause: signal.reason });
        const { bytesRead } = await file.read(bytes);
        if (bytesRead === 0) return hash.digest('hex');
        hash.update(bytes.subarray(0, bytesRead));
      }
    } finally {
      await closeQuietly(file);
    }
  });
}
