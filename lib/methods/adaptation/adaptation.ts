import type { Attribute, Program, Value } from '../../graph/index.js';
import type { ClockRules } from '../clock.js';

/** What linear layers compute in forward, which parameters exist, and which of them train when. */
export interface Adaptation {
  /** Rewrites what models build. */
  rewriteForward(forward: Program): Program;
  isTrained(parameter: Value): boolean;
  /** Other forms of the step by name, in which others are trained; a clock says when one is due. Absent: none. */
  readonly variants?: Readonly<Record<string, Pick<Adaptation, 'isTrained'>>>;
  /** Steps that the states of a parameter have seen, the one under way included. Absent: all of the run. */
  stateStep?(parameter: Value): Attribute;
  /** Weights of the model itself that it trains in some step. Absent: none, as adapters stand beside them. */
  readonly trains?: { readonly layers: boolean; readonly embeddingAndHead: boolean };
  /** Whether it changes weights that are not trained. Default false. */
  readonly changesWeights?: boolean;
  /** Absent: nothing of it changes from step to step. */
  readonly clocks?: Readonly<Record<string, ClockRules>>;
}
