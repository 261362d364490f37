import { compactError } from '../../errors.js';
import { oneOf, optional, wholeNumber, type OptionTable } from '../../options.js';
import { fp8Groups } from './fp8-groups.js';
import { int8Groups } from './int8-groups.js';
import type { Saving } from './saving.js';

/** Codecs by the name of their format, each of groups of so many elements. */
const formats = { int8: int8Groups, fp8: fp8Groups } as const;

/** How activations that backward reads are held until then. What a method compresses itself stays as it is. */
export interface SavingOptions {
  /**
   * Format of the copies that gradients come from: groups in int8 or in fp8 (E4M3). Forward computes with the values themselves. Absent: the
   * values are kept; 'int8' of `mesa`.
   */
  readonly savedActivations?: keyof typeof formats;
  /** Elements of a copy that share a scale. Default 256. */
  readonly savedGroupSize?: number;
  /**
   * Slopes of silu and gelu in backward: 'stepwise' takes step functions near them, for which two bits are kept of each input
   * (Approx-BP). Absent: exact ones.
   */
  readonly activationSlopes?: 'stepwise';
}

/** Rows of the options, with the default of a preset. */
export const savingTable = (savedActivations?: SavingOptions['savedActivations']) =>
  ({
    savedActivations: optional(oneOf(['int8', 'fp8']), savedActivations),
    savedGroupSize: optional(wholeNumber(1)),
    activationSlopes: optional(oneOf(['stepwise'])),
  }) satisfies OptionTable<SavingOptions>;

/**
 * The options with the default that follows from the format.
 * @throws ERR_COMPACT_CONFIG_VALUE for the size of groups that there are not
 */
export function resolveSaving({ savedActivations, savedGroupSize }: SavingOptions): SavingOptions {
  if (savedActivations !== undefined) return { savedActivations, savedGroupSize: savedGroupSize ?? 256 };
  if (savedGroupSize === undefined) return {};
  throw compactError(
    'ERR_COMPACT_CONFIG_VALUE',
    'savedGroupSize is of copies, and no activation is held as one',
    {
      op: 'savedGroupSize',
      expected: 'savedGroupSize beside savedActivations',
      received: `savedGroupSize ${savedGroupSize} alone`,
      remedy: "Give savedActivations, such as 'int8', as well, or leave savedGroupSize out",
    },
  );
}

/** What the pass that chooses is told of them; undefined: everything is held as it is. */
export function codecOf({ savedActivations, savedGroupSize }: SavingOptions): Saving['codec'] {
  if (savedActivations === undefined) return undefined;
  const codec = formats[savedActivations](savedGroupSize!);
  return ({ kind }) => (kind === 'activation' ? codec : undefined);
}
