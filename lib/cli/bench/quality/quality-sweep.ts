import type { DemoRates } from '../training/demo-recipe.js';

/** A method and the rates that are tried for it. */
export interface Contender {
  readonly variant: string;
  readonly matrixRates: readonly number[];
  /** Of embeddings, head and norms; empty where the method freezes them. */
  readonly otherRates: readonly number[];
}

/** What is tried. */
export interface QualityGrid {
  readonly contenders: readonly Contender[];
  /** Of a run that counts. */
  readonly steps: number;
  /** Steps of shorter runs with the first seed that go before; each passes on a third of its cells. */
  readonly rungs: readonly number[];
  readonly seeds: readonly number[];
  /** Cells of each method that train with the other seeds as well. */
  readonly finalists: number;
}

/** One training run. */
export interface QualityCell extends DemoRates {
  readonly variant: string;
  readonly seed: number;
  readonly steps: number;
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

/** The share of its cells that a rung passes on. */
const kept = 1 / 3;

/**
 * Successive halving, one method after the other: every cell trains for the steps of the first rung, the best of them
 * for those of the next, and so on up to whole runs; the cells with the lowest losses there train with the other seeds.
 */
export async function sweep(
  { contenders, steps, rungs, seeds, finalists }: QualityGrid,
  runCell: (cell: QualityCell) => Promise<number>,
): Promise<QualityRun[]> {
  const [firstSeed, ...otherSeeds] = seeds as [number, ...number[]];
  const runs: QualityRun[] = [];
  const run = async (cell: QualityCell): Promise<QualityRun> => {
    const finished = { ...cell, loss: await runCell(cell) };
    runs.push(finished);
    return finished;
  };
  /** The cells that stay numbers, the best first. */
  const race = async (cells: readonly DemoRates[], variant: string, length: number): Promise<DemoRates[]> => {
    const finished: QualityRun[] = [];
    for (const cell of cells) finished.push(await run({ variant, ...cell, seed: firstSeed, steps: length }));
    return finished
      .filter(({ loss }) => loss < Infinity)
      .toSorted((a, b) => a.loss - b.loss)
      .map(ratesOf);
  };
  for (const contender of contenders) {
    const { variant } = contender;
    let cells = cellsOf(contender);
    for (const length of rungs)
      cells = (await race(cells, variant, length)).slice(0, Math.ceil(kept * cells.length));
    for (const cell of (await race(cells, variant, steps)).slice(0, finalists))
      for (const seed of otherSeeds) await run({ variant, ...cell, seed, steps });
  }
  return runs;
}

/** Each method at its best, of the cells that trained whole with every seed; methods that always diverged have none. */
export function bestResults(
  { contenders, steps, seeds }: Pick<QualityGrid, 'contenders' | 'steps' | 'seeds'>,
  runs: readonly QualityRun[],
): QualityResult[] {
  const whole = runs.filter((run) => run.steps === steps && seeds.includes(run.seed));
  const chosen = contenders.flatMap((contender) => {
    const summaries = cellsOf(contender).map((cell) => summary(contender, cell, seeds, whole));
    const finished = summaries.filter((result) => result !== undefined);
    return finished.toSorted((a, b) => a.meanLoss - b.meanLoss).slice(0, 1);
  });
  return chosen.map((result) => ({ ...result, ofFirst: result.meanLoss / chosen[0]!.meanLoss }));
}

/** Rates of matrices change fastest. */
function cellsOf({ matrixRates, otherRates }: Contender): DemoRates[] {
  if (otherRates.length === 0) return matrixRates.map((matrixRate) => ({ matrixRate }));
  return otherRates.flatMap((otherRate) => matrixRates.map((matrixRate) => ({ matrixRate, otherRate })));
}

const ratesOf = ({ matrixRate, otherRate }: DemoRates): DemoRates =>
  otherRate === undefined ? { matrixRate } : { matrixRate, otherRate };

function summary(
  { variant, matrixRates, otherRates }: Contender,
  cell: DemoRates,
  seeds: readonly number[],
  runs: readonly QualityRun[],
): Omit<QualityResult, 'ofFirst'> | undefined {
  const { matrixRate, otherRate } = cell;
  const own = runs.filter(
    (run) => run.variant === variant && run.matrixRate === matrixRate && run.otherRate === otherRate,
  );
  const losses = own.map(({ loss }) => loss);
  if (losses.length < seeds.length || losses.includes(Infinity)) return undefined;
  const isEnd = (rates: readonly number[], rate: number | undefined) =>
    rate === Math.min(...rates) || rate === Math.max(...rates);
  return {
    variant,
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
