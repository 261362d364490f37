/** What `scripts/bench finetune` compares, and in which order. */
import * as v from 'valibot';
import { readRecipeFile } from '../../lib/cli/recipe-file.js';
import {
  checkOptions,
  numberAbove,
  optional,
  path,
  recordOf,
  section,
  seedNumber,
  text,
  type OptionTable,
} from '../../lib/options.js';

/** A method, and the peak rates that are tried for it. */
export interface Contender {
  /** A mapping as in a recipe. */
  readonly method: Readonly<Record<string, unknown>>;
  readonly learningRates: readonly number[];
}

/** Methods that train the same model further on the same data. */
export interface Sweep {
  /** Of the rows in the ledger. */
  readonly case: string;
  /** A folder in the layout of Hugging Face's checkpoints, or a checkpoint. */
  readonly model: string;
  /** Records or text that nothing is chosen by. Absent: what is held out is all that is measured. */
  readonly test?: string;
  /** Options of every run, as in a recipe. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Every rate is tried with the first; the best one trains with the others as well. */
  readonly seeds: readonly number[];
  readonly contenders: Readonly<Record<string, Contender>>;
}

const contenderTable = {
  method: section,
  learningRates: v.pipe(v.array(numberAbove(0), 'a list of rates'), v.nonEmpty('a list of rates')),
} satisfies OptionTable<Contender>;

const sweepTable = {
  case: text,
  model: path,
  test: optional(path),
  options: section,
  seeds: v.pipe(v.array(seedNumber, 'a list of seeds'), v.nonEmpty('a list of seeds')),
  contenders: recordOf(section, 'a mapping with a method and learningRates for each name'),
};

/**
 * A sweep from a YAML file.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function readSweep(file: string): Sweep {
  const { contenders, ...sweep } = checkOptions(readRecipeFile(file).values, sweepTable, { what: 'a sweep' });
  const checked = Object.entries(contenders).map(
    ([name, given]) =>
      [name, checkOptions(given, contenderTable, { what: `the contender ${name}` })] as const,
  );
  return { ...sweep, contenders: Object.fromEntries(checked) };
}

/** One training run. */
export interface SweepCell {
  readonly contender: string;
  readonly learningRate: number;
  readonly seed: number;
}

/** How good a model is on some data. */
export interface Scores {
  readonly loss: number;
  /** Of a model for classes. */
  readonly accuracy?: number;
}

/** What a run is judged by; undefined of one that diverged. */
export interface Judged {
  /** Of the records or text held out of the training data: rates are chosen by it. */
  readonly heldOut?: Scores;
  readonly test?: Scores;
}

/** A contender at its best rate. */
export interface SweepResult<Run> {
  readonly contender: string;
  readonly learningRate: number;
  /** One for each seed. */
  readonly runs: readonly Run[];
  /** Whether the rate is the lowest or the highest that was tried: a better one may lie beyond. */
  readonly isAtEdge: boolean;
}

/** Every rate with the first seed, the best with the others, one contender after the other. */
export async function runSweep<Run extends SweepCell & Judged>(
  { contenders, seeds }: Pick<Sweep, 'contenders' | 'seeds'>,
  runCell: (cell: SweepCell) => Promise<Run>,
): Promise<SweepResult<Run>[]> {
  const [firstSeed, ...otherSeeds] = seeds as [number, ...number[]];
  const runs: Run[] = [];
  for (const [contender, { learningRates }] of Object.entries(contenders)) {
    const tried: Run[] = [];
    for (const learningRate of learningRates)
      tried.push(await runCell({ contender, learningRate, seed: firstSeed }));
    const { learningRate } = best(tried);
    runs.push(...tried);
    for (const seed of otherSeeds) runs.push(await runCell({ contender, learningRate, seed }));
  }
  return resultsOf(runs);
}

/** What the runs of a sweep, in their order, have come to. */
export function resultsOf<Run extends SweepCell & Judged>(runs: readonly Run[]): SweepResult<Run>[] {
  const contenders = [...new Set(runs.map(({ contender }) => contender))];
  return contenders.map((contender) => {
    const own = runs.filter((run) => run.contender === contender);
    const tried = own.filter(({ seed }) => seed === own[0]!.seed);
    const { learningRate } = best(tried);
    const rates = tried.map((run) => run.learningRate);
    return {
      contender,
      learningRate,
      runs: own.filter((run) => run.learningRate === learningRate),
      isAtEdge: learningRate === Math.min(...rates) || learningRate === Math.max(...rates),
    };
  });
}

const best = <Run extends Judged>(runs: readonly Run[]): Run =>
  runs.reduce((a, b) => (isBetter(b, a) ? b : a));

/** By accuracy where there is one, else by loss. */
function isBetter({ heldOut: a }: Judged, { heldOut: b }: Judged): boolean {
  if (a === undefined || b === undefined) return b === undefined && a !== undefined;
  return a.accuracy === undefined ? a.loss < b.loss : a.accuracy > b.accuracy!;
}
