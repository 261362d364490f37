import type { OpDefinition, OpFacts } from './op.js';
import { type OutputOperand, indexOfOperand, parseSignature, wordsOf } from './signature.js';

/** What an op's file states, with all that follows from it. */
export function defineOp(facts: OpFacts): OpDefinition {
  const signature = parseSignature(facts.operands, facts.attributes);
  const { inputs, outputs } = signature;
  const pairs = <T>(read: (output: OutputOperand) => T | undefined) =>
    outputs.flatMap((output, index) => {
      const other = read(output);
      return other === undefined ? [] : [[index, other] as const];
    });
  const elementUpdates = pairs(({ element }) => element);
  return {
    ...facts,
    signature,
    updates: pairs(({ updates }) => updates),
    elementUpdates,
    accumulators: pairs(({ accumulates }) => accumulates),
    inPlace: wordsOf(facts.mayShare ?? '').map((pair) => {
      const [output, input] = pair.split('=') as [string, string];
      return [indexOfOperand(outputs, output), indexOfOperand(inputs, input)] as const;
    }),
    identity: [...wordsOf(facts.identifiedBy ?? ''), ...elementUpdates.map(([, attribute]) => attribute)],
  };
}
