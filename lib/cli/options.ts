import { InvalidArgumentError, Option } from 'commander';

/** Parsers of flag values; commander names the flag and the value in its complaint. */

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number above 0');
  return value;
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

export function ratio(text: string): number {
  const [numerator, denominator = '1'] = text.split('/');
  const value = Number(numerator) / Number(denominator);
  if (!(value > 0 && value <= 1))
    throw new InvalidArgumentError('expected a ratio in (0, 1], e.g. 0.25 or 1/4');
  return value;
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1, b: 1,
  kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12,
  k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40,
  kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40,
}; // prettier-ignore

/** '24GiB', '24GB' (decimal), '24g' (binary) or plain bytes. */
export function byteCount(text: string): number {
  const [, number, unit = ''] = /^([\d.]+)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = byteUnits[unit.toLowerCase()];
  const bytes = Number(number) * (factor ?? NaN);
  if (!Number.isFinite(bytes) || bytes <= 0)
    throw new InvalidArgumentError('expected bytes, e.g. 24GiB or 80GB');
  return Math.floor(bytes);
}

export const choice = (flags: string, description: string, choices: readonly string[]): Option =>
  new Option(flags, description).choices(choices);
