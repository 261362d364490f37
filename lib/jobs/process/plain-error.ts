import {
  compactError,
  isCompactError,
  type CompactErrorCode,
  type CompactErrorFields,
} from '../../errors.js';

/** An error in plain values: its class and its own fields would be lost on the way to another process or thread. */
export interface PlainError {
  readonly message: string;
  readonly stack: string | undefined;
  /** Of a typed error. */
  readonly typed?: Omit<CompactErrorFields, 'cause'> & {
    readonly code: CompactErrorCode;
    readonly what: string;
  };
}

/** What was thrown, which may be anything. */
export function plainError(thrown: unknown): PlainError {
  const { message, stack } = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (!isCompactError(thrown)) return { message, stack };
  const { code, what, op, expected, received, remedy, device, details } = thrown;
  // What cannot be sent has no place in an error, and must not hide it.
  const plainDetails = details && (JSON.parse(JSON.stringify(details)) as typeof details);
  return {
    message,
    stack,
    typed: { code, what, ...given({ op, expected, received, remedy, device, details: plainDetails }) },
  };
}

/** The error that was sent, with the stack that it had there. */
export function revivedError({ message, stack, typed }: PlainError): Error {
  if (typed === undefined) return withStack(new Error(message), stack);
  const { code, what, ...fields } = typed;
  return withStack(compactError(code, what, fields), stack);
}

const withStack = (error: Error, stack: string | undefined): Error => {
  if (stack !== undefined) error.stack = stack;
  return error;
};

const given = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
