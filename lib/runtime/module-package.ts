import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageVersion, prebuiltFolder } from './package-files.js';
import type { Module } from './modules.js';

const packageName = 'compact-train-cuda-linux-x64';
/** Files whose hash was right, of this process. */
const verified = new Set<string>();

/**
 * The module in the optional package, if that is installed. It is code, so it is taken only from the package of our
 * exact version, and only if its bytes are those that were published with us: this package carries their SHA-256
 * (scripts/build-cuda-package.cjs).
 */
export function findPackagedModule(fileName: string): Module | undefined {
  const folder = packageFolder();
  if (folder === undefined || !existsSync(join(folder, fileName))) return undefined;
  const path = join(folder, fileName);
  if (verified.has(path)) return { path };
  const [theirs, ours] = [versionIn(folder), packageVersion()];
  if (theirs !== ours)
    return {
      reason: 'module-version',
      problem: `${folder} is of version ${theirs}, but this compact-train is of version ${ours}`,
    };
  const expected = knownHash(fileName);
  let received: string;
  try {
    received = hashOf(path);
  } catch (error) {
    return { reason: 'module-broken', problem: `${path} cannot be read: ${(error as Error).message}` };
  }
  if (received !== expected)
    return {
      reason: 'module-untrusted',
      problem:
        expected === undefined
          ? `${path} is not loaded, because this compact-train was packed without its SHA-256`
          : `${path} is not the file that was published with compact-train ${ours}: its SHA-256 is ${received}, not ${expected}`,
    };
  verified.add(path);
  return { path };
}

function packageFolder(): string | undefined {
  try {
    return dirname(require.resolve(`${packageName}/package.json`));
  } catch {
    return undefined;
  }
}

function versionIn(folder: string): string {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      version?: unknown;
    };
    return String(version);
  } catch {
    return 'unknown';
  }
}

/** As `sha256sum` writes it, beside the prebuilt addon. */
function knownHash(fileName: string): string | undefined {
  const path = join(prebuiltFolder, `${fileName}.sha256`);
  return existsSync(path) ? readFileSync(path, 'latin1').slice(0, 64) : undefined;
}

/** In pieces: the module is many megabytes, and training counts memory. */
function hashOf(path: string): string {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(2 ** 20);
  const file = openSync(path, 'r');
  try {
    for (let count = readSync(file, piece); count > 0; count = readSync(file, piece))
      hash.update(piece.subarray(0, count));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}
