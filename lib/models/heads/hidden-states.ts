import type { Value } from '../../graph/index.js';

/** What the body of a model gives to its head. */
export interface HiddenStates {
  /** (tokens, hidden), before the last norm. */
  readonly states: Value;
  /** The last norm, of as many rows as the head uses. */
  norm(rows: Value): Value;
}
