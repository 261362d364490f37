import { compactError } from '../errors.js';
import { systemCode } from '../formats/index.js';

/** What is said of a connection that was lost, or that did not come about, where the system says nothing. */
const lostConnection = /^Connection terminated|timeout|not queryable/;

/**
 * What passes by itself: another transaction came between (40001, 40P01), connections were ended or are too many, the
 * server stops, starts, or is cut off.
 */
const passingStates = /^(40001|40P01|25P03|57P0[123]|53300|08...)$/;

/** The error of a database that gives as its reason what the package `pg` has thrown. */
export function postgresError(cause: unknown): Error {
  const received = cause instanceof Error && cause.message !== '' ? cause.message : String(codeOf(cause));
  return compactError('ERR_COMPACT_STORE', 'the PostgreSQL database cannot be used', {
    received,
    remedy: isPassing(cause)
      ? 'Check that the server runs and can be reached from here; what was accepted before is intact'
      : 'See what the server says; what was accepted before is intact',
    cause,
  });
}

/** Whether doing it again may help. */
export const isPassing = (cause: unknown): boolean =>
  isFromServer(cause)
    ? passingStates.test(String(codeOf(cause)))
    : systemCode(cause) !== undefined || (cause instanceof Error && lostConnection.test(cause.message));

/** Whether the connection can go on: the server refused a statement, and has undone the transaction. */
export const isRefusal = (cause: unknown): boolean =>
  isFromServer(cause) && (cause as { severity?: unknown }).severity === 'ERROR';

const isFromServer = (cause: unknown): boolean =>
  typeof (cause as { severity?: unknown } | null)?.severity === 'string';

const codeOf = (cause: unknown): unknown => (cause as { code?: unknown } | null)?.code;
