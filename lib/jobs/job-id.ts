import { randomBytes } from 'node:crypto';

/** Bytes of a time in milliseconds since 1970, and of what is random behind it, as in a UUID of version 7. */
const timeBytes = 6;
const randomCount = 10;

/** An id that nobody can guess, and that sorts about by the time at which it was made. */
export function newJobId(): string {
  const time = Date.now()
    .toString(16)
    .padStart(2 * timeBytes, '0');
  return `job-${time}${randomBytes(randomCount).toString('hex')}`;
}

/** Whether a text can be the id of a job: others are not looked for. */
export const isJobId = (text: string): boolean => /^job-[0-9a-f]{32}$/.test(text);
