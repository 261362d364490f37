/**
 * How every public function checks what it is given. An option is one row of a table: its name and a schema that holds
 * what it may be, its default, and in words what was expected (the message of the schema). Types of the public
 * interfaces, defaults, checks of calls and of recipes, and the reference pages come from the same rows.
 */
import { inspect } from 'node:util';
import * as v from 'valibot';
import { compactError, nearestName, type CompactErrorCode } from './errors.js';

export type OptionSchema<T = unknown> = v.GenericSchema<unknown, T>;
type Table = Readonly<Record<string, OptionSchema>>;

/** One row for each option of an interface; a row whose option is required has to give a value. */
export type OptionTable<T> = { readonly [K in keyof Required<T>]: OptionSchema<T[K]> };

/** The options that a table gives: all of them, with defaults. */
export type Checked<S extends Table> = { readonly [K in keyof S]: v.InferOutput<S[K]> };

/** What an option may be besides left out; `otherwise` is its default. */
export const optional = v.optional;

/** The same option where it has to be given. */
export const required = <const S extends v.GenericSchema>(row: { readonly wrapped: S }): S => row.wrapped;

/** The same options where somebody else fills in what is left out. */
export const withoutDefaults = <
  const S extends Readonly<Record<string, { readonly wrapped: v.GenericSchema }>>,
>(
  table: S,
) =>
  Object.fromEntries(
    Object.entries(table).map(([name, row]) => [name, v.optional(row.wrapped)]),
  ) as unknown as { readonly [K in keyof S]: v.OptionalSchema<S[K]['wrapped'], undefined> };

export const wholeNumber = (from: number, to = Number.MAX_SAFE_INTEGER) => {
  const expected =
    to === Number.MAX_SAFE_INTEGER ? `a whole number from ${from}` : `a whole number from ${from} to ${to}`;
  return v.pipe(
    v.number(expected),
    v.safeInteger(expected),
    v.minValue(from, expected),
    v.maxValue(to, expected),
  );
};

/** A finite number, both ends included. */
export const numberFrom = (from: number, to = Infinity) =>
  finite(
    to === Infinity ? `a number from ${from}` : `a number from ${from} to ${to}`,
    (value) => value >= from && value <= to,
  );

export const numberAbove = (bound: number, to = Infinity) =>
  finite(
    to === Infinity ? `a number above ${bound}` : `a number above ${bound}, at most ${to}`,
    (value) => value > bound && value <= to,
  );

/** From `from` to below `below`. */
export const numberWithin = (from: number, below: number) =>
  finite(`a number from ${from} to below ${below}`, (value) => value >= from && value < below);

const finite = (expected: string, isWithin: (value: number) => boolean) =>
  v.pipe(v.number(expected), v.finite(expected), v.check(isWithin, expected));

/** A seed of this package's generators. */
export const seedNumber = v.pipe(
  v.number('a whole number from 0 to 2^53 - 1'),
  v.safeInteger('a whole number from 0 to 2^53 - 1'),
  v.minValue(0, 'a whole number from 0 to 2^53 - 1'),
);

export const flag = v.boolean('true or false');

export const text = v.string('text');

/** A name of files and the like: no system takes an empty one, or one with a NUL. */
export const namedText = (expected: string) =>
  v.pipe(v.string(expected), v.nonEmpty(expected), v.excludes('\0', expected));

export const path = namedText('a path');

export const oneOf = <const T extends readonly string[]>(choices: T) =>
  v.picklist(choices, `one of ${choices.join(', ')}`);

const byteUnits: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12,
  k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40,
  kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40,
}; // prettier-ignore

/** Bytes of '24GiB', '24GB' (decimal) or '24g' (binary); undefined for anything else, a number without a unit included. */
export function bytesOf(size: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(size.trim()) ?? [];
  const bytes = Math.floor(Number(number) * (byteUnits[unit.toLowerCase()] ?? NaN));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

const expectedBytes = "bytes as a whole number from 1, or text with a unit, e.g. '24GiB'";
/** A count of bytes, or text with a unit; gives bytes. */
export const byteCount = v.pipe(
  v.union([v.string(), v.number()], expectedBytes),
  v.transform((size) => (typeof size === 'string' ? bytesOf(size) : size)),
  v.number(expectedBytes),
  v.safeInteger(expectedBytes),
  v.minValue(1, expectedBytes),
);

/** An object whose own options another table checks. */
export const section = v.custom<Readonly<Record<string, unknown>>>(
  isPlainObject,
  'a plain object, { key: value }',
);

/** Values of one kind by name. */
export const recordOf = <T>(item: OptionSchema<T>, expected: string) =>
  v.pipe(v.custom<object>(isPlainObject, expected), v.record(v.string(), item, expected));

export const functionOf = <T extends (...args: never[]) => unknown>(expected: string) =>
  v.custom<T>((value) => typeof value === 'function', expected);

export const abortSignal = v.custom<AbortSignal>((value) => {
  const { aborted, addEventListener, removeEventListener } = Object(value) as Partial<AbortSignal>;
  return (
    typeof aborted === 'boolean' &&
    typeof addEventListener === 'function' &&
    typeof removeEventListener === 'function'
  );
}, 'an AbortSignal');

/** An option as references and listings show it. */
export interface OptionInfo {
  readonly name: string;
  /** What it may be, in words. */
  readonly type: string;
  /** Null where it has to be given, or leaving it out means something else than any value. */
  readonly default: unknown;
  readonly isRequired: boolean;
}

/** The rows of a table, in their order. */
export const optionInfos = (table: Table): readonly OptionInfo[] =>
  Object.entries(table).map(([name, row]) => {
    const { type, default: otherwise } = row as { readonly type: string; readonly default?: unknown };
    return {
      name,
      type: expectationOf(row),
      default: (typeof otherwise === 'function' ? (otherwise as () => unknown)() : otherwise) ?? null,
      isRequired: type !== 'optional',
    };
  });

/** Of a row, or of what it wraps, what was expected. */
function expectationOf(row: object): string {
  const { wrapped, message } = row as { readonly wrapped?: object; readonly message?: string };
  return wrapped === undefined ? message! : expectationOf(wrapped);
}

/** Where a check takes place, for its error. */
export interface CheckContext {
  /** What the options are of, e.g. 'dense' or 'Engine.open'. */
  readonly what: string;
  /** Put before the names of options, e.g. 'data.'. */
  readonly prefix?: string;
  /** Of a wrong value. Default ERR_COMPACT_CONFIG_VALUE. */
  readonly code?: CompactErrorCode;
  /** Of a wrong value of single options. */
  readonly codes?: Readonly<Record<string, CompactErrorCode>>;
  /** What to do about a key that is known elsewhere. */
  readonly remedyOf?: (key: string) => string | undefined;
}

/**
 * Checks options against their table and fills in the defaults. An option that is undefined counts as not given.
 * @throws ERR_COMPACT_TYPE when it is no plain object, ERR_COMPACT_CONFIG_UNKNOWN_KEY with the nearest known key,
 *   ERR_COMPACT_CONFIG_VALUE
 */
export function checkOptions<S extends Table>(given: unknown, table: S, context: CheckContext): Checked<S> {
  const { prefix = '', code, codes = {} } = context;
  const values = ownValues(given, context);
  refuseUnknown(values, Object.keys(table), context);
  const checked = Object.entries(table).map(
    ([name, schema]) =>
      [name, checkValue(values.get(name), schema, `${prefix}${name}`, codes[name] ?? code)] as const,
  );
  return Object.fromEntries(checked.filter(([, value]) => value !== undefined)) as Checked<S>;
}

/**
 * Checks one value.
 * @throws ERR_COMPACT_CONFIG_VALUE, or another code
 */
export function checkValue<T>(
  value: unknown,
  schema: OptionSchema<T>,
  name: string,
  code: CompactErrorCode = 'ERR_COMPACT_CONFIG_VALUE',
): T {
  const result = reading(name, () => v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true }));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = [name, ...(issue.path ?? []).map(({ key }) => String(key))].join('.');
  throw compactError(code, value === undefined ? `${where} is missing` : `${where} is not possible`, {
    op: where,
    expected: issue.message,
    received: value === undefined ? 'nothing' : shown(issue.input),
    remedy: remedyFor(issue),
  });
}

/** A text that stands where a number should, or is nearly one of the choices. */
function remedyFor({
  input,
  expected,
  type,
  requirement,
  message,
}: v.BaseIssue<unknown>): string | undefined {
  if (typeof input !== 'string') return undefined;
  const isNumeric = input.trim() !== '' && Number.isFinite(Number(input));
  if (expected === 'number' && isNumeric) return `Write the number without quotes: ${Number(input)}`;
  if (type !== 'picklist' || requirement !== undefined) return undefined;
  const nearest = nearestName(input, message.replace(/^one of /, '').split(', '));
  return nearest && `Did you mean '${nearest}'?`;
}

/** @throws ERR_COMPACT_CONFIG_UNKNOWN_KEY */
function refuseUnknown(
  values: ReadonlyMap<PropertyKey, unknown>,
  known: readonly string[],
  { what, prefix = '', remedyOf }: CheckContext,
): void {
  for (const key of values.keys()) {
    if (typeof key === 'string' && known.includes(key)) continue;
    const nearest = nearestName(String(key), known);
    throw compactError('ERR_COMPACT_CONFIG_UNKNOWN_KEY', `unknown key '${clipped(String(key))}' of ${what}`, {
      op: `${prefix}${clipped(String(key))}`,
      expected: `one of ${known.join(', ')}`,
      received: clipped(String(key)),
      remedy: remedyOf?.(String(key)) ?? (nearest && `Did you mean '${nearest}'?`),
    });
  }
}

/**
 * The own values of a plain object, read once, so that what is checked is what is used. Values that are undefined are
 * left out.
 * @throws ERR_COMPACT_TYPE for anything else: what a Map, a Date or an instance of a class holds is not seen by name
 */
export function ownValues(
  given: unknown,
  { what, prefix = '' }: Pick<CheckContext, 'what' | 'prefix'>,
): ReadonlyMap<PropertyKey, unknown> {
  const name = prefix === '' ? `the options of ${what}` : prefix.slice(0, -1);
  return reading(name, () => {
    if (!isPlainObject(given))
      throw compactError('ERR_COMPACT_TYPE', `${name} are not an object`, {
        op: name,
        expected: 'a plain object, { key: value }',
        received: shown(given),
      });
    const entries = Reflect.ownKeys(given).map((key) => [key, Reflect.get(given, key)] as const);
    return new Map<PropertyKey, unknown>(entries.filter(([, value]) => value !== undefined));
  });
}

/** An object literal or JSON value of any realm. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Reads a caller's values: getters and proxies may throw anything.
 * @throws ERR_COMPACT_TYPE
 */
export function reading<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (isOurs(cause)) throw cause;
    throw compactError('ERR_COMPACT_TYPE', `${name} cannot be read`, {
      op: name,
      expected: 'plain values',
      received: 'a value that throws when it is read',
      cause,
    });
  }
}

const isOurs = (error: unknown): boolean => error instanceof Error && error.name === 'CompactError';

/** A value in a message: short, whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(clipped(value));
  try {
    const options = { depth: 1, customInspect: false, breakLength: Infinity, maxArrayLength: 8 } as const;
    return clipped(inspect(value, { ...options, maxStringLength: 80 }));
  } catch {
    return `a value of type ${typeof value}`;
  }
}

const clipped = (message: string): string =>
  message.length <= 120 ? message : `${message.slice(0, 120)}...`;
