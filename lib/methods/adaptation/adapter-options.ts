import * as v from 'valibot';
import { flag, numberAbove, oneOf, optional, wholeNumber, type OptionTable } from '../../options.js';

/** Roles of weights that can have an adapter: the linear layers of a model, but for its head. */
export const adaptableRoles = ['query', 'key', 'value', 'output', 'gate', 'up', 'down', 'linear'] as const;
/** One of `adaptableRoles`. */
export type AdaptableRole = (typeof adaptableRoles)[number];

/** What an adapter is, in the words of Hugging Face's PEFT. */
export interface AdapterOptions {
  /** Rank of the adapters. Default 8; 32 of `dora`, 64 of `qlora`, 128 of `relora`. */
  readonly r?: number;
  /** An adapter is multiplied by `loraAlpha` / r. Default 8; 16 of `qlora`, 32 of `relora`, 64 of `dora`. */
  readonly loraAlpha?: number;
  /**
   * Roles of the weights that have one, or all linear layers but the head. Default 'all-linear'; ['query', 'value'] of `lora`;
   * ['query', 'key', 'value', 'up', 'down'] of `dora`.
   */
  readonly targetModules?: 'all-linear' | readonly AdaptableRole[];
  /** Multiply by `loraAlpha` / sqrt(r) instead (rank-stabilised, arXiv 2312.03732). Default false. */
  readonly useRslora?: boolean;
}

const targets = `'all-linear' or some of ${adaptableRoles.join(', ')}`;

/** The rows of adapter options with the defaults of a paper. */
export const adapterTable = (
  defaults: Required<Pick<AdapterOptions, 'r' | 'loraAlpha' | 'targetModules'>>,
): OptionTable<AdapterOptions> => ({
  r: optional(wholeNumber(1), defaults.r),
  loraAlpha: optional(numberAbove(0), defaults.loraAlpha),
  targetModules: optional(
    v.union([v.literal('all-linear'), v.pipe(v.array(oneOf(adaptableRoles)), v.nonEmpty(targets))], targets),
    defaults.targetModules as 'all-linear' | AdaptableRole[],
  ),
  useRslora: optional(flag, false),
});

/** Wrong ranks have a code of their own. */
export const adapterCodes = { r: 'ERR_COMPACT_RANK' } as const;
