import type { Plan, PlanEntry, PlanInstruction } from '../../lib/compile/index.js';

/** The plan with every addRmsNorm as the two ops that it stands for, in the same memory. Lifetimes are not counted anew. */
export function withSeparateNorms(plan: Plan): Plan {
  const separated = ({ instructions, ...entry }: PlanEntry): PlanEntry => ({
    ...entry,
    instructions: instructions.flatMap(separate),
  });
  return {
    ...plan,
    entries: Object.fromEntries(
      Object.entries(plan.entries).map(([name, entry]) => [name, separated(entry)]),
    ),
  };
}

function separate(instruction: PlanInstruction): readonly PlanInstruction[] {
  if (instruction.op !== 'addRmsNorm') return [instruction];
  const [a, b, weight] = instruction.inputs as [number, number, number];
  const [sum, y, rstd] = instruction.outputs as [number, number, number];
  return [
    { ...instruction, op: 'add', inputs: [a, b], outputs: [sum], attributes: {} },
    { ...instruction, op: 'rmsNorm', inputs: [sum, weight], outputs: [y, rstd] },
  ];
}
