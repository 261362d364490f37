import { numberFrom, optional, wholeNumber, type Checked, type OptionTable } from '../../options.js';
import { matrixRolesRow, type MatrixRole } from '../matrix-roles.js';
import { rankOrDefault, rankTable, type RankOptions } from '../rank-options.js';

/** The subspace of each weight's gradient, and for how long it is kept. The rank is one of the smaller side. */
export interface SubspaceOptions extends RankOptions {
  /** Optimizer steps between new subspaces: the paper's T, `update_proj_gap` of its code. Default 200. */
  readonly refreshInterval?: number;
  /**
   * Multiplies the learning rate of weights with a subspace, in `fira` of the part inside alone: the paper's alpha, `scale`
   * of GaLore's code. Default 0.25.
   */
  readonly updateScale?: number;
  /** Roles of weights with a subspace. Default: all of attention and of the MLP. */
  readonly targetModules?: readonly MatrixRole[];
}

export type ResolvedSubspaceOptions = Required<Omit<SubspaceOptions, 'rank' | 'rankRatio'>> & RankOptions;

export const subspaceTable = {
  ...rankTable,
  refreshInterval: optional(wholeNumber(1), 200),
  updateScale: optional(numberFrom(0), 0.25),
  targetModules: matrixRolesRow,
} satisfies OptionTable<SubspaceOptions>;

/** @throws ERR_COMPACT_RANK */
export function resolveSubspaceOptions(what: string, checked: SubspaceOptions): ResolvedSubspaceOptions {
  const { rank, rankRatio, ...options } = checked as Checked<typeof subspaceTable>;
  return { ...options, ...rankOrDefault(what, { rank, rankRatio }) };
}
