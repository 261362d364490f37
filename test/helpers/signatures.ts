import { opDefinitions, type OutputOperand, type Signature } from '../../lib/graph/index.js';

/** Signatures by the name of the op. */
export const signatures: ReadonlyMap<string, Signature> = new Map(
  [...opDefinitions].map(([name, { signature }]) => [name, signature]),
);

/** The input whose memory an output is, if it is present. */
export function sharedInput(
  { inputs }: Signature,
  { updates, accumulates }: OutputOperand,
): string | undefined {
  const index = updates ?? accumulates;
  return index === undefined ? undefined : inputs[index]!.name;
}
