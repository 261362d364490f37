export { compile } from './compile.js';
export { encodePlan } from './encode-plan.js';
export { groupSpans, type Span, workspaceSpans } from './group-spans.js';
export type { Accounting, CompileOptions, RecomputePolicy, Target, TensorShape } from './options.js';
export {
  type Lifetime,
  type Plan,
  type PlanEntry,
  type PlanInstruction,
  type PlanValue,
  type Region,
  planVersion,
} from './plan.js';
