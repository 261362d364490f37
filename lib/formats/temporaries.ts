import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { onPath } from './file-error.js';

/*
 * Names of what is being made: a dot, what it will be, who makes it, a random number and '.partial'. A process that is
 * killed leaves such things behind; whoever works in the folder next removes those whose maker is gone.
 */
const suffix = '.partial';
const folderPrefix = 'compact-train-';

/**
 * What numbers of processes mean something in: this start of the machine, and its space of such numbers, because each
 * container counts its own. Host names would not do, many machines share one; they stand in where the system tells neither.
 */
const machine = createHash('sha256')
  .update(told(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')) ?? hostname())
  .update(told(() => readlinkSync('/proc/self/ns/pid')) ?? '')
  .digest('hex')
  .slice(0, 8);

function told(ask: () => string): string | undefined {
  try {
    return ask();
  } catch {
    return undefined; // no such thing on this system
  }
}

const maker = (): string => `${machine}-${process.pid}-${randomBytes(4).toString('hex')}`;
const makerPattern = /(?:([0-9a-f]{8})-)?(\d+)-[0-9a-f]{8}(?:\.partial)?$/;

/** A name that nothing has yet, for what will be called `name`. */
export const temporaryName = (name: string): string => `.${name}.${maker()}${suffix}`;

/** Whether a name in a folder is of something unfinished. */
export const isTemporaryName = (name: string): boolean =>
  name.startsWith('.') && name.endsWith(suffix) && makerPattern.test(name);

/** Whoever is still at it writes more often than this. Asked only of makers that cannot be seen from here. */
const longestSilenceMs = 24 * 3600 * 1000;

/**
 * Removes what makers that are gone have left in a folder. Never throws: what cannot be removed stays where it is.
 * @param isHeld nobody else writes into the folder: whatever is unfinished was left behind
 */
export async function removeLeftovers(folder: string, isHeld = false): Promise<void> {
  await removeAbandoned(folder, isTemporaryName, isHeld);
}

/**
 * A new folder in the system's place for temporary ones, for this user alone; those of dead processes are removed.
 * @throws ERR_COMPACT_CHECKPOINT_WRITE
 */
export async function makeTemporaryFolder(): Promise<string> {
  await removeAbandoned(tmpdir(), (name) => name.startsWith(folderPrefix) && makerPattern.test(name), false);
  const path = join(tmpdir(), `${folderPrefix}${maker()}`);
  await onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, () => mkdir(path, { mode: 0o700 }));
  return path;
}

async function removeAbandoned(
  folder: string,
  isOurs: (name: string) => boolean,
  isHeld: boolean,
): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isOurs)) {
    const path = join(folder, name);
    if (isHeld || (await isAbandoned(path, name)))
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function isAbandoned(path: string, name: string): Promise<boolean> {
  const [, host, pid] = makerPattern.exec(name) ?? [];
  if (host === machine) return !isAlive(Number(pid));
  const written = await stat(path).catch(() => undefined);
  return written !== undefined && Date.now() - written.mtimeMs > longestSilenceMs;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
