import { type CompactError, type CompactErrorCode, compactError, compactErrorCodes } from '../errors.js';

/** What the addon's errors carry: a code and fields; the sentence is made here. */
interface NativeFields {
  readonly code: CompactErrorCode;
  readonly op?: string;
  readonly expected?: string;
  readonly received?: string;
  readonly entry?: string;
  readonly layer?: string;
  readonly value?: string;
}

const isNative = (error: unknown): error is NativeFields =>
  typeof error === 'object' &&
  error !== null &&
  'code' in error &&
  (compactErrorCodes as readonly unknown[]).includes(error.code);

/** A typed error for what the addon threw; anything else is given back as it is. */
export function fromNative(error: unknown): unknown {
  if (!isNative(error)) return error;
  const { code, op, expected, received, entry, layer, value } = error;
  return compactError(code, sentence(error), {
    op,
    expected,
    received,
    // Numbers that no entry has made are those of the caller.
    remedy: code === 'ERR_COMPACT_NOT_FINITE' && entry === undefined ? undefined : remedies[code],
    details: { ...defined({ entry, layer, value }) },
  });
}

/** Runs a synchronous call of the addon. */
export function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

/**
 * Waits for a call of the addon. A rejection carries the stack of whoever made the call: by the time the engine's
 * thread has failed, the stack at hand leads nowhere.
 */
export async function awaiting<T>(call: Promise<T>, caller: { readonly stack?: string }): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const typed = fromNative(error);
    if (typed !== error) {
      const { name, message } = typed as CompactError;
      const frames = caller.stack?.slice(caller.stack.indexOf('\n') + 1) ?? '';
      (typed as Error).stack = `${name}: ${message}\n${frames}`;
    }
    throw typed;
  }
}

/** The stack from the caller of `method` on. */
export function callerOf(method: (...args: never[]) => unknown): { readonly stack?: string } {
  const caller = {};
  Error.captureStackTrace(caller, method);
  return caller;
}

function sentence({ code, op = '', entry, layer, value }: NativeFields): string {
  const subject = op === '' ? 'the engine' : op;
  const place =
    (entry === undefined ? '' : ` of entry ${entry}`) + (layer === undefined ? '' : ` in layer ${layer}`);
  switch (code) {
    case 'ERR_COMPACT_PLAN_INVALID':
      return `the plan is not valid: ${subject}${place}`;
    case 'ERR_COMPACT_PLAN_DEVICE':
      return 'the plan is for another device';
    case 'ERR_COMPACT_OP_UNSUPPORTED':
      return `the backend has no operation ${subject}${place}`;
    case 'ERR_COMPACT_NOT_FINITE':
      return `${value ?? 'a value'} of ${subject}${place} is not finite`;
    case 'ERR_COMPACT_INDEX':
      return `${subject}${place}: an index is out of range`;
    case 'ERR_COMPACT_SHAPE':
      return `${subject}${place}: the operands do not fit`;
    case 'ERR_COMPACT_ARGUMENT':
    case 'ERR_COMPACT_TYPE':
      return `${subject}${place}: an argument is not valid`;
    case 'ERR_COMPACT_OUT_OF_MEMORY':
      return `${subject}${place}: there is no memory left`;
    case 'ERR_COMPACT_DOES_NOT_FIT':
      return 'the plan does not fit the memory limit';
    case 'ERR_COMPACT_DISPOSED':
      return 'the engine is closed';
    case 'ERR_COMPACT_ABORTED':
      return `the run${place} was aborted`;
    case 'ERR_COMPACT_ENTRY_UNKNOWN':
      return `the plan has no entry ${subject}`;
    case 'ERR_COMPACT_VALUE_UNKNOWN':
      return `the plan has no persistent value ${subject}`;
    case 'ERR_COMPACT_DEVICE_LOST':
      return `the device failed, found at ${subject}${place}`;
    case 'ERR_COMPACT_DEVICE_UNAVAILABLE':
      return 'the device is not available';
    default:
      return `${subject}${place} failed`;
  }
}

const remedies: Readonly<Partial<Record<CompactErrorCode, string>>> = {
  ERR_COMPACT_OUT_OF_MEMORY: 'Lower the batch size or the sequence length, or choose recompute: layer',
  ERR_COMPACT_DEVICE_LOST:
    'This engine is of no more use, nor is the device to this process: start again, and resume from the last checkpoint',
  ERR_COMPACT_NOT_FINITE: 'A lower learning rate, a longer warm-up or clipping usually helps',
};

const defined = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
