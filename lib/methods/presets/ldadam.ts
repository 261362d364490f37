import { compactError } from '../../errors.js';
import { flag, numberWithin, optional, type Checked, type OptionTable } from '../../options.js';
import { trackedSubspace, type TrackedSubspaceOptions } from '../gradient-space/tracked-subspace.js';
import { matrixRolesRow } from '../matrix-roles.js';
import type { AdamWSettings } from '../optimizers/adamw.js';
import type { StepOptions } from '../optimizers/step.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';
import { rankOrDefault, rankTable, type RankOptions } from '../rank-options.js';

/** Options of `ldadam`: its subspaces, and those of every method. */
export interface LdadamOptions extends TrackedSubspaceOptions, MethodOptions {}

type ResolvedOptions = Required<Omit<TrackedSubspaceOptions, 'rank' | 'rankRatio'>> &
  RankOptions &
  Required<AdamWSettings>;

const table = {
  ...rankTable,
  rho: optional(numberWithin(0, 1), 0.908),
  errorFeedback: optional(flag, true),
  targetModules: matrixRolesRow,
} satisfies OptionTable<TrackedSubspaceOptions>;

/**
 * Adam in subspaces of gradients that move at every step, to which its moments are carried each time; what subspaces leave is
 * added to the next gradient. Layers keep their inputs, gradients are full, one at a time. Differences from the published code:
 * the first subspace comes from randomised subspace iteration instead of an SVD, and variances are carried by squares of the
 * change of basis, as the paper says, where the code takes fourth powers.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example ldadam({ rank: 16, errorFeedback: false })
 */
export const ldadam: Preset<LdadamOptions> = preset<TrackedSubspaceOptions, ResolvedOptions>({
  name: 'ldadam',
  source:
    'Robert et al., LDAdam: Adaptive Optimization from Low-Dimensional Gradient Statistics, ICLR 2025, arXiv 2410.16103',
  table,
  optimizers: ['adamw'],
  optimizerDefaults: { adamw: { betas: [0.908, 0.99] } },
  published: { stateFormat: 'f32' },
  resolve(checked) {
    const { rank, rankRatio, ...options } = checked as Checked<typeof table> &
      Required<AdamWSettings> &
      StepOptions;
    requireSingles(options);
    return { ...options, ...rankOrDefault('ldadam', { rank, rankRatio }) };
  },
  compose: (options) => ({ gradientSpace: trackedSubspace(options), saving: { recompute: 'none' } }),
});

function requireSingles({ stateFormat }: StepOptions): void {
  if (stateFormat === 'f32') return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', 'ldadam carries its moments at every step, in fp32', {
    op: 'stateFormat',
    expected: "'f32'",
    received: stateFormat,
    remedy: 'Lower the rank instead',
  });
}
