import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The package's folder: this file is in <package>/dist/runtime or <package>/lib/runtime. */
export const packageRoot = join(__dirname, '..', '..');

export const packageVersion = (): string =>
  (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;

/** What was built here, in a checkout. */
export const builtFolders = [join(packageRoot, 'build', 'Release'), join(packageRoot, 'build', 'Debug')];
/** What the package brings along for this platform. */
export const prebuiltFolder = join(packageRoot, 'prebuilds', `${process.platform}-${process.arch}`);

/**
 * Files that may be the addon, the first of them is: of a checkout's build, else of the package. Nothing but the
 * platform decides, no variable of the environment.
 */
export const addonFiles = (): string[] => [
  ...builtFolders.flatMap(nodeFiles),
  ...nodeFiles(prebuiltFolder).filter((path) => !path.endsWith(`.${otherLibrary()}.node`)),
];

/** The C library that this system does not have; prebuilt files have the name of theirs before the extension. */
const otherLibrary = (): string => (existsSync('/etc/alpine-release') ? 'glibc' : 'musl');

function nodeFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.node'))
    .map((name) => join(folder, name));
}
