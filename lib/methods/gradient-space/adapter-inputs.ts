// The gradient of an adapter's first factor A (n, r) is what its layer would keep the input x (tokens, n) for. Here the
// layer keeps z = x P instead, A's gradient is z^T du, (rank, r), and P takes the optimizer's direction back to (n, r):
// CompAct (arXiv 2410.15352, algorithms 1 and 2) with the factor in the place of the weight. The second factor's
// gradient reads x A (tokens, r), which is small, and stays as it is.
import { compactError } from '../../errors.js';
import { numberAbove, numberFrom, optional, wholeNumber, type OptionTable } from '../../options.js';
import type { AdapterOptions } from '../adaptation/adapter-options.js';
import { factorOf } from '../adaptation/low-rank-adapter.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import type { StepOptions } from '../optimizers/step.js';
import type { PresetDefinition } from '../preset.js';
import { full } from './full.js';
import type { GradientSpace } from './gradient-space.js';
import { compressibleRoles, type CompressibleRole } from './projection-options.js';
import { randomProjection } from './random-projection.js';

/**
 * In which form layers keep the inputs of adapters. Those of `output` stay as they are: attention keeps them anyway.
 * Without a rank nothing is projected.
 */
export interface AdapterInputOptions {
  /** Columns of an input's projection, the same for every layer; instead of `inputRankRatio`. */
  readonly inputRank?: number;
  /** As a share of the input's width, rounded to the nearest multiple of 8. */
  readonly inputRankRatio?: number;
  /** Optimizer steps between new projections of inputs. Default 50; 1 with an optimizer that keeps nothing of matrices. */
  readonly inputRefreshInterval?: number;
  /** Multiplies the learning rate of first factors whose input is projected: CompAct's alpha. Default 1. */
  readonly inputUpdateScale?: number;
}

type Options = AdapterOptions & AdapterInputOptions;

export const adapterInputTable = {
  inputRank: optional(wholeNumber(1)),
  inputRankRatio: optional(numberAbove(0, 1)),
  inputRefreshInterval: optional(wholeNumber(1)),
  inputUpdateScale: optional(numberFrom(0)),
} satisfies OptionTable<AdapterInputOptions>;

const isProjected = ({ inputRank, inputRankRatio }: AdapterInputOptions): boolean =>
  inputRank !== undefined || inputRankRatio !== undefined;

/** What a preset with these options says of them beside their table. */
export const adapterInputRules = {
  compressesGradients: isProjected,
  statelessDefaults: { inputRefreshInterval: 1 },
} satisfies Partial<PresetDefinition<AdapterInputOptions>>;

/**
 * What the options say of each other.
 * @throws ERR_COMPACT_RANK for both ranks, ERR_COMPACT_CONFIG_VALUE where no adapter has an input to project, and for
 *   what is said of projections where there is no rank for them
 */
export function checkAdapterInputs<T extends Options>(
  what: string,
  checked: T,
): Required<Omit<T, keyof AdapterInputOptions>> & AdapterInputOptions {
  const { inputRank, inputRankRatio, inputRefreshInterval, inputUpdateScale } = checked;
  if (inputRank !== undefined && inputRankRatio !== undefined)
    throw compactError('ERR_COMPACT_RANK', `${what} takes at most one of inputRank and inputRankRatio`, {
      op: 'inputRank',
      expected: 'inputRank or inputRankRatio',
      received: `both inputRank ${inputRank} and inputRankRatio ${inputRankRatio}`,
      remedy: 'Leave one of them out',
      details: { excluded: ['inputRank', 'inputRankRatio'] },
    });
  if (!isProjected(checked)) {
    refuseWithoutRank({ inputRefreshInterval, inputUpdateScale });
    return checked as Required<T>;
  }
  if (targetsOf(checked).length === 0)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `no adapter of ${what} has an input that is projected`, {
      op: 'targetModules',
      expected: `'all-linear', or some of ${compressibleRoles.join(', ')} with inputRank or inputRankRatio`,
      received: String(checked.targetModules),
      remedy: 'Name one of them, or leave the rank of inputs out',
    });
  return {
    ...(checked as Required<T>),
    inputRefreshInterval: inputRefreshInterval ?? 50,
    inputUpdateScale: inputUpdateScale ?? 1,
  };
}

function refuseWithoutRank(
  ofProjections: Pick<AdapterInputOptions, 'inputRefreshInterval' | 'inputUpdateScale'>,
): void {
  const given = Object.entries(ofProjections).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  const [name, value] = given;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is of projected inputs, and none are projected`, {
    op: name,
    expected: `${name} beside inputRank or inputRankRatio`,
    received: `${name} ${value} alone`,
    remedy: `Give a rank of inputs as well, or leave ${name} out`,
  });
}

const targetsOf = ({ targetModules = 'all-linear' }: AdapterOptions): CompressibleRole[] =>
  compressibleRoles.filter((role) => targetModules === 'all-linear' || targetModules.includes(role));

/** Full gradients, but of first factors whose inputs are projected. */
export function adapterInputs(
  options: AdapterOptions & AdapterInputOptions & StepOptions,
  optimizer: Optimizer,
): GradientSpace {
  if (!isProjected(options)) return full;
  const { inputRank, inputRankRatio, inputRefreshInterval, inputUpdateScale } = options;
  return randomProjection(
    {
      ...options,
      rank: inputRank,
      rankRatio: inputRankRatio,
      refreshInterval: inputRefreshInterval!,
      updateScale: inputUpdateScale!,
      targetModules: targetsOf(options),
      overrides: {},
      outputProjection: 'dense',
      outputUpdateScale: 1,
      distribution: 'gaussian',
      sharing: 'input',
      store: 'stored',
      momentsAtRefresh: 'keep',
    },
    optimizer,
    (parameter) => (factorOf(parameter) === 'A' ? parameter.parameter!.adapts : undefined),
  );
}
