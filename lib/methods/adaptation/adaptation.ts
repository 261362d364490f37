import type { Program, Value } from '../../graph/index.js';
import type { ClockRules } from '../clock.js';

/** What linear layers compute in forward, and which parameters exist and train. */
export interface Adaptation {
  /** Rewrites what models build. */
  rewriteForward(forward: Program): Program;
  isTrained(parameter: Value): boolean;
  /** Whether it changes weights that are not trained. Default false. */
  readonly changesWeights?: boolean;
  /** Absent: nothing of it changes from step to step. */
  readonly clocks?: Readonly<Record<string, ClockRules>>;
}
