import { compile, type Target } from '../../../compile/index.js';
import type { RoleRate } from '../../../graph/index.js';
import { methodFromDescription, type OptimizerName } from '../../../methods/index.js';
import { usedRoleRates } from '../../../train/schedule/learning-rates.js';
import { optionsFromRecipe } from '../../../train/options/recipe.js';
import type { ListedMethod } from '../../method-list.js';
import { tunedRecipe, type DemoMethod, type DemoSize } from '../training/demo-recipe.js';
import type { Contender } from './quality-sweep.js';

/** What the rates of a grid, which are AdamW's, are multiplied by. */
interface RateScale {
  readonly matrices: number;
  /** Embeddings, head and norms. */
  readonly others: number;
}

/**
 * Where an optimizer's rates lie beside AdamW's, whose steps have about the size of the rate: signs are as large where
 * AdamW's are not, orthogonal and normalised matrices have smaller elements, Adafactor's rates are relative to weights,
 * and gradients themselves are small.
 */
const ofOptimizer: Readonly<Record<OptimizerName, RateScale>> = {
  adamw: { matrices: 1, others: 1 },
  'adamw-8bit': { matrices: 1, others: 1 },
  adafactor: { matrices: 25, others: 10 },
  'adam-mini': { matrices: 1, others: 1 },
  foam: { matrices: 1, others: 1 },
  lion: { matrices: 0.25, others: 0.25 },
  muon: { matrices: 10, others: 1 },
  rmnp: { matrices: 10, others: 1 },
  scale: { matrices: 1, others: 1 },
  sgd: { matrices: 50, others: 10 },
  apollo: { matrices: 1, others: 1 },
  'apollo-mini': { matrices: 10, others: 1 }, // its updateScale is in the rate
};

/** Adapters learn at larger rates than the matrices that they stand for. */
const ofAdapters: RateScale = { matrices: 4, others: 1 };

/** A rank of n/4, as compact and galore have, intervals for runs of hundreds of steps, and embeddings that start at random trained. */
const forShortRuns: Readonly<Record<string, (width: number) => Readonly<Record<string, unknown>>>> = {
  lora: (width) => ({ r: quarter(width) }),
  dora: (width) => ({ r: quarter(width), targetModules: 'all-linear' }),
  'lora-fa': (width) => ({ r: quarter(width) }),
  qlora: (width) => ({ r: quarter(width) }),
  relora: (width) => ({ r: quarter(width), resetInterval: 100, restartWarmupSteps: 10 }),
  galore: () => ({ refreshInterval: 50 }),
  fira: () => ({ refreshInterval: 50 }),
  flora: () => ({ refreshInterval: 50 }),
  rso: () => ({ innerSteps: 50 }),
  badam: () => ({ blocks: 4, switchInterval: 25, otherParameters: 'trained' }),
};

const quarter = (width: number): number => Math.max(1, Math.round(width / 4));

/** A method of a list; what its word does not say is chosen for a short run of a model of this width. */
export const listedContender = ({ word, description }: ListedMethod, hiddenSize: number): DemoMethod => ({
  variant: word,
  options: { ...forShortRuns[description.name]?.(hiddenSize), ...description },
});

/**
 * The rates that a method is tried at: those of the grid, scaled for its optimizer; only those that it has a use for.
 * @throws what the method throws for the model, before anything is trained
 */
export function contend(
  method: DemoMethod,
  grid: Pick<Contender, 'matrixRates' | 'otherRates'>,
  size: DemoSize,
  target: Target,
): DemoMethod & Contender {
  const roles = trainedRoles(method, size, target);
  const { matrices, others } = scaleOf(method);
  return {
    ...method,
    roles,
    matrixRates: scaled(grid.matrixRates, matrices),
    otherRates: roles.length === 0 ? [] : scaled(grid.otherRates, others),
  };
}

function scaleOf({ options }: DemoMethod): RateScale {
  const described = methodFromDescription(options).describe() as {
    readonly optimizer: OptimizerName;
    readonly loraAlpha?: number;
  };
  const { matrices, others } = ofOptimizer[described.optimizer];
  if (described.loraAlpha === undefined) return { matrices, others };
  return { matrices: matrices * ofAdapters.matrices, others: others * ofAdapters.others };
}

/** In as many digits as people write. */
const scaled = (rates: readonly number[], factor: number): number[] =>
  rates.map((rate) => Number((rate * factor).toPrecision(6)));

function trainedRoles(method: DemoMethod, size: DemoSize, target: Target): readonly RoleRate[] {
  const { model, ...options } = optionsFromRecipe(tunedRecipe(method, { matrixRate: 1 }, 1, 1, size));
  const { batchSize, sequenceLength } = size;
  const shape = { batchSize, sequenceLength, dtype: 'f32', entries: ['train'] } as const;
  return usedRoleRates(compile({ model, method: options.method, target, ...shape }));
}
