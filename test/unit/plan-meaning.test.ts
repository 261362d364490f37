/**
 * Compiled plans, executed by float64 twins over their own memory layout. A fault here is in the compiler, a method or
 * a model; native code has no part in it.
 */
import { describeWholeModel } from '../helpers/describe-whole-model.js';
import { PlanInterpreter } from '../helpers/plan-interpreter.js';

describeWholeModel({
  // Workspaces of odd sizes; twins read nothing in them.
  target: { device: 'cpu', workspaceBytes: ({ op }) => 64 * op.length },
  withMachine: (plan, body) => body(new PlanInterpreter(plan)),
});
