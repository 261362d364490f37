import type { Attribute, Graph, Program, Value } from '../../graph/index.js';
import type { ClockRules } from '../clock.js';

/** What linear layers compute in forward, which parameters exist, and which of them train when. */
export interface Adaptation {
  /** Rewrites what models build. */
  rewriteForward(forward: Program): Program;
  isTrained(parameter: Value): boolean;
  /** What it makes of the weights that a run starts from (`Method.prepare`). Absent: nothing. */
  prepare?(graph: Graph, parameter: Value): void;
  /** Other forms of the step by name, in which others are trained; a clock says when one is due. Absent: none. */
  readonly variants?: Readonly<Record<string, Pick<Adaptation, 'isTrained'>>>;
  /** Steps that the states of a parameter have seen, the one under way included. Absent: all of the run. */
  stateStep?(parameter: Value): Attribute;
  /** Weights of the model itself that it trains in some step. Absent: none, as adapters stand beside them. */
  readonly trains?: { readonly layers: boolean; readonly embeddingAndHead: boolean };
  /** What it does with the numbers of weights that are not trained, so that they cannot be in codes. Absent: nothing. */
  readonly needsNumbersBecause?: string;
  /** Absent: nothing of it changes from step to step. */
  readonly clocks?: Readonly<Record<string, ClockRules>>;
}
