import { compactError, nearestName, type CompactErrorCode } from '../errors.js';

// What every method checks of its options, so that a mistake is found where it is written and not in a plan.

/** The options over their defaults; one that is undefined counts as not given. */
export function withDefaults<T extends object, D extends object>(given: T, defaults: D): D & T {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...defaults, ...defined } as D & T;
}

/** @throws ERR_COMPACT_CONFIG_UNKNOWN_KEY with the nearest known name */
export function requireKnownKeys(what: string, given: object, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const nearest = nearestName(key, known);
    throw compactError('ERR_COMPACT_CONFIG_UNKNOWN_KEY', `unknown option '${key}' of ${what}`, {
      op: key,
      expected: `one of ${known.join(', ')}`,
      received: key,
      remedy: nearest && `Did you mean '${nearest}'?`,
    });
  }
}

/** @throws ERR_COMPACT_CONFIG_VALUE, or another code */
export function requireOption(
  name: string,
  value: unknown,
  isValid: boolean,
  expected: string,
  code: CompactErrorCode = 'ERR_COMPACT_CONFIG_VALUE',
): void {
  if (!isValid)
    throw compactError(code, `${name} is out of range`, {
      op: name,
      expected,
      received: JSON.stringify(value),
    });
}

export function requireOneOf(name: string, value: unknown, choices: readonly unknown[]): void {
  requireOption(name, value, choices.includes(value), `one of ${choices.join(', ')}`);
}

export const isWholeNumber = (value: unknown, minimum: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= minimum;

export const isNumberWithin = (value: unknown, minimum: number, maximum = Infinity): value is number =>
  Number.isFinite(value) && (value as number) >= minimum && (value as number) <= maximum;
