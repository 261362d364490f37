import { compactError, isCompactError } from '../errors.js';
import type { CompactError } from '../errors.js';

/** What was being done to a file or folder when the system refused. */
export type FileErrorCode =
  | 'ERR_COMPACT_CHECKPOINT_WRITE'
  | 'ERR_COMPACT_CHECKPOINT_READ'
  | 'ERR_COMPACT_DATA_READ'
  | 'ERR_COMPACT_MODEL_READ';

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'Free some space on that disk; earlier checkpoints are intact',
  EDQUOT: 'Free some of the quota on that disk; earlier checkpoints are intact',
  EFBIG: 'Raise the limit on file sizes; earlier checkpoints are intact',
  EROFS: 'Choose a folder on a writable disk; earlier checkpoints are intact',
  EMFILE: 'Raise the limit on open files (ulimit -n)',
  ENFILE: 'Close programs that hold many files open',
};

const others: Readonly<Record<FileErrorCode, { what: string; denied: string; remedy: string }>> = {
  ERR_COMPACT_CHECKPOINT_WRITE: {
    what: 'could not be written',
    denied: 'Choose a folder that this user may write to; earlier checkpoints are intact',
    remedy: 'Check the disk; earlier checkpoints are intact',
  },
  ERR_COMPACT_CHECKPOINT_READ: {
    what: 'could not be read',
    denied: 'Give this user the right to read it',
    remedy: 'Check the disk, or use an earlier checkpoint',
  },
  ERR_COMPACT_DATA_READ: {
    what: 'could not be read',
    denied: 'Give this user the right to read it',
    remedy: 'Check that it exists and that its disk works',
  },
  ERR_COMPACT_MODEL_READ: {
    what: 'could not be read',
    denied: 'Give this user the right to read it',
    remedy: 'Name a config.json, or a folder that holds one',
  },
};

/** The error that names the path, what the system said, and what to do. */
export function fileError(code: FileErrorCode, path: string, cause: unknown): CompactError {
  const { what, denied, remedy } = others[code];
  const reason = systemCode(cause);
  return compactError(code, `${path} ${what}`, {
    received: cause instanceof Error ? cause.message : String(cause),
    remedy: reason === 'EACCES' || reason === 'EPERM' ? denied : (remedies[reason ?? ''] ?? remedy),
    cause,
  });
}

/** Works on a path; what the system refuses becomes a typed error, other errors pass. */
export async function onPath<T>(code: FileErrorCode, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isCompactError(error) || systemCode(error) === undefined ? error : fileError(code, path, error);
  }
}

/** The name that the system has for an error, e.g. ENOSPC; undefined for errors that are not the system's. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
