/** The twin of a soft cap: cap tanh(x / cap); a cap of 0, or none, leaves numbers as they are. */
import type { Round } from './tensor.js';

export const softCapped = (x: number, cap: number | undefined, round: Round): number =>
  cap ? round(cap * round(Math.tanh(round(x / cap)))) : x;

/** The derivative, from the capped value. */
export const softCapSlope = (capped: number, cap: number | undefined, round: Round): number =>
  cap ? round(1 - round(round(capped / cap) ** 2)) : 1;
