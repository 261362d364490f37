import { InvalidArgumentError, Option } from 'commander';
import { bytesOf } from '../options.js';

/** Parsers of flag values; commander names the flag and the value in its complaint. */

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number above 0');
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('expected a whole number from 0');
  return value;
}

export function numberFromZero(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected a number from 0');
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

/** The option `weights` of methods: bf16 stands for numbers in the dtype of the run. */
export function weightFormat(text: string): string {
  if (text === 'bf16') return 'dtype';
  if (!['int8', 'int8-aware', 'nf4'].includes(text))
    throw new InvalidArgumentError('expected bf16, int8, int8-aware or nf4');
  return text;
}

/** '24GiB', '24GB' (decimal) or '24g' (binary). */
export function byteCount(text: string): number {
  const bytes = bytesOf(text);
  if (bytes !== undefined) return bytes;
  if (/^\s*\d+(\.\d+)?\s*$/.test(text))
    throw new InvalidArgumentError(
      `expected a unit: ${text.trim()}GiB, ${text.trim()}GB, or ${text.trim()}B for bytes\nDid you mean ${text.trim()}GiB?`,
    );
  throw new InvalidArgumentError('expected bytes, e.g. 24GiB or 80GB');
}

/** One of several words. */
export const choice = (flags: string, description: string, choices: readonly string[]): Option =>
  new Option(flags, description).choices(choices);
