import { optional, wholeNumber, type OptionTable } from '../../options.js';
import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';
import { int8Groups } from '../saving/int8-groups.js';

/** What `mesa` can be told beside the options of every method. */
export interface Int8GroupsOptions {
  /** Elements that share a scale. Default 256. */
  readonly groupSize?: number;
}

/** Options of `mesa`. */
export interface MesaOptions extends Int8GroupsOptions, MethodOptions {}

const table = {
  groupSize: optional(wholeNumber(1), 256),
} satisfies OptionTable<Int8GroupsOptions>;

/**
 * Training as by `dense`, with what backward reads held as int8 groups: forward is exact, gradients come from the
 * rebuilt copies. A group's range is its own largest magnitude, where the paper keeps a running estimate.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example mesa({ groupSize: 64 })
 */
export const mesa: Preset<MesaOptions> = preset<Int8GroupsOptions, Required<Int8GroupsOptions>>({
  name: 'mesa',
  source: 'Pan et al., Mesa: A Memory-saving Training Framework for Transformers, 2021, arXiv 2111.11124',
  table,
  compose: ({ groupSize }) => ({
    gradientSpace: full,
    saving: { recompute: 'none', codec: int8Groups(groupSize) },
  }),
});
