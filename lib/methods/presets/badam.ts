import { blocksInTurn, blockTable, type BlockOptions } from '../adaptation/blocks-in-turn.js';
import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `badam`: blocks and their turns, and those of every method. */
export interface BadamOptions extends BlockOptions, MethodOptions {}

/**
 * Full-parameter training of one block of layers at a time: gradients and states are those of a block, and begin at zero with
 * its turn. Differences from the published code: the block that is trained has no copy of its weights in fp32, bf16 weights
 * are rounded stochastically instead; and blocks are parts of the layers, where the code takes any list of them.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example badam({ blocks: 8, switchInterval: 100 })
 */
export const badam: Preset<BadamOptions> = preset<BlockOptions, Required<BlockOptions>>({
  name: 'badam',
  source:
    'Luo et al., BAdam: A Memory Efficient Full Parameter Optimization Method for Large Language Models, NeurIPS 2024, arXiv 2404.02827',
  table: blockTable,
  compose: (options, optimizer) => ({
    adaptation: blocksInTurn('badam', options, optimizer, options.frozen),
    gradientSpace: full,
    saving: { recompute: 'none' },
  }),
});
