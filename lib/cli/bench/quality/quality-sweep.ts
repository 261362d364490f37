import type { DemoRates } from '../training/demo-recipe.js';

/** What is tried for every method. */
export interface QualityGrid {
  readonly variants: readonly string[];
  readonly matrixRates: readonly number[];
  readonly otherRates: readonly number[];
  readonly seeds: readonly number[];
  /** Cells of each method that train with the other seeds as well. */
  readonly finalists: number;
}

/** One training run. */
export interface QualityCell extends DemoRates {
  readonly variant: string;
  readonly seed: number;
}

export interface QualityRun extends QualityCell {
  /** Held-out, in nats per token; infinite where the run stopped being numbers. */
  readonly loss: number;
}

/** A method at the rates with the lowest mean loss over the seeds. */
export interface QualityResult extends DemoRates {
  readonly variant: string;
  readonly meanLoss: number;
  readonly lowestLoss: number;
  readonly highestLoss: number;
  readonly seeds: readonly number[];
  /** Mean loss as a ratio to that of the first method. */
  readonly ofFirst: number;
  /** Axes of the grid that end at the chosen rate: a better one may lie outside. */
  readonly atEdgeOf: readonly (keyof DemoRates)[];
}

/**
 * Successive halving over seeds: every cell of a method trains with the first seed, and those with the lowest losses
 * with the others. Methods come one after the other.
 */
export async function sweep(
  grid: QualityGrid,
  runCell: (cell: QualityCell) => Promise<number>,
): Promise<QualityRun[]> {
  const [firstSeed, ...otherSeeds] = grid.seeds as [number, ...number[]];
  const runs: QualityRun[] = [];
  const run = async (cell: QualityCell): Promise<QualityRun> => {
    const finished = { ...cell, loss: await runCell(cell) };
    runs.push(finished);
    return finished;
  };
  for (const variant of grid.variants) {
    const first: QualityRun[] = [];
    for (const otherRate of grid.otherRates)
      for (const matrixRate of grid.matrixRates)
        first.push(await run({ variant, matrixRate, otherRate, seed: firstSeed }));
    for (const { loss, ...cell } of lowest(first, ({ loss }) => loss, grid.finalists))
      if (loss < Infinity) for (const seed of otherSeeds) await run({ ...cell, seed });
  }
  return runs;
}

/** Each method at its best, of the cells that trained with every seed; methods that always diverged have none. */
export function bestResults(grid: QualityGrid, runs: readonly QualityRun[]): QualityResult[] {
  const chosen = grid.variants.flatMap((variant) => {
    const cells = grid.otherRates.flatMap((otherRate) =>
      grid.matrixRates.map((matrixRate) => summary(grid, runs, { variant, matrixRate, otherRate })),
    );
    const whole = cells.filter((cell) => cell !== undefined);
    return lowest(whole, ({ meanLoss }) => meanLoss, 1);
  });
  return chosen.map((result) => ({ ...result, ofFirst: result.meanLoss / chosen[0]!.meanLoss }));
}

function summary(
  { seeds, matrixRates, otherRates }: QualityGrid,
  runs: readonly QualityRun[],
  cell: Omit<QualityCell, 'seed'>,
): Omit<QualityResult, 'ofFirst'> | undefined {
  const { variant, matrixRate, otherRate } = cell;
  const own = runs.filter(
    (run) => run.variant === variant && run.matrixRate === matrixRate && run.otherRate === otherRate,
  );
  const losses = own.map(({ loss }) => loss);
  if (losses.length < seeds.length || losses.includes(Infinity)) return undefined;
  const isEnd = (rates: readonly number[], rate: number) =>
    rate === Math.min(...rates) || rate === Math.max(...rates);
  return {
    ...cell,
    meanLoss: losses.reduce((a, b) => a + b, 0) / losses.length,
    lowestLoss: Math.min(...losses),
    highestLoss: Math.max(...losses),
    seeds,
    atEdgeOf: [
      ...(isEnd(otherRates, otherRate) ? (['otherRate'] as const) : []),
      ...(isEnd(matrixRates, matrixRate) ? (['matrixRate'] as const) : []),
    ],
  };
}

const lowest = <T>(items: readonly T[], by: (item: T) => number, count: number): T[] =>
  [...items].sort((a, b) => by(a) - by(b)).slice(0, count);
