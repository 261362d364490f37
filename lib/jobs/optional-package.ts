import { compactError } from '../errors.js';

/**
 * Loads a package that is installed by whoever needs it.
 * @param needed what for, e.g. 'a PostgreSQL database'
 * @throws ERR_COMPACT_PACKAGE_MISSING, and what the package itself throws
 */
export function optionalPackage<T>(name: string, needed: string, load: () => T): T {
  try {
    return load();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== 'MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) throw cause;
    throw compactError('ERR_COMPACT_PACKAGE_MISSING', `${needed} needs the package ${name}`, {
      op: name,
      remedy: `npm install ${name}`,
      cause,
    });
  }
}
