import { randomBytes } from 'node:crypto';

/**
 * An id that nobody can guess, and that sorts by when it was made: 48 bits of the time in milliseconds and 96 random ones.
 */
export const sortableId = (prefix: string, now = Date.now()): string =>
  `${prefix}-${now.toString(16).padStart(12, '0')}${randomBytes(12).toString('hex')}`;
