import { InvalidArgumentError, type Command } from 'commander';
import { formatPercent, formatSmall } from '../../format.js';
import { describeMethod } from '../../describe-method.js';
import { methodOfFlags } from '../../method-flags.js';
import { positiveInteger, ratio } from '../../options.js';
import { addRecipeFlags, type RecipeFlags } from '../../recipe-flags.js';
import { renderTable } from '../../table.js';
import type { Terminal } from '../../terminal.js';
import {
  compactMethod,
  denseMethod,
  tunedRecipe,
  type DemoMethod,
  type DemoRates,
} from '../training/demo-recipe.js';
import { benchDevice, deviceOption } from '../device.js';
import { QualityLedger } from './quality-ledger.js';
import {
  bestResults,
  sweep,
  type QualityCell,
  type QualityGrid,
  type QualityResult,
  type QualityRun,
} from './quality-sweep.js';
import { StatusLine } from '../status-line.js';
import { runTraining } from '../training/training-run.js';

const help = `
Trains the demo model of 'bench memory' with every method on the same batches, and tunes each over the same grid of two
peak rates: that of matrices as it acts on them (compact's learningRate times its updateScale), and that of embeddings,
head and norms. Every cell trains with the first seed, the best ones with the others; each method is then judged by its
lowest mean held-out loss. 'bench memory' uses the rates that were found like this.

With --ledger, every finished run is appended to that file at once and never trained again: a sweep that was stopped
goes on with the same command, hours later or on another day.

With --method, --optimizer, --weights or --set that method stands beside dense training instead of compact.

Examples:
  compact-train bench quality --ledger quality.jsonl
  compact-train bench quality --ledger quality.jsonl --optimizer muon
  compact-train bench quality --ledger quality.jsonl --rank-ratios 1/4,1/2 --other-rates 0.01,0.02,0.04,0.08`;

interface QualityFlags extends RecipeFlags {
  readonly steps: number;
  readonly matrixRates: readonly number[];
  readonly otherRates: readonly number[];
  readonly seeds: readonly number[];
  readonly finalists: number;
  readonly rankRatios: readonly number[];
  readonly device: string;
  readonly threads?: number;
  readonly ledger?: string;
}

const axes: Readonly<Record<keyof DemoRates, { readonly words: string; readonly flag: string }>> = {
  matrixRate: { words: 'rate of matrices', flag: '--matrix-rates' },
  otherRate: { words: 'rate of embeddings, head and norms', flag: '--other-rates' },
};

export function registerQualityBench(bench: Command, terminal: Terminal): void {
  const command = bench
    .command('quality')
    .summary('loss of dense and compact, both tuned over the same rates')
    .description('Compares what the methods learn from the same text, each at the best rates of one grid.')
    .option('--steps <count>', 'optimizer steps of each run', positiveInteger, 500)
    .option(
      '--matrix-rates <list>',
      'peak rates of matrices, tried for every method',
      numbers,
      [0.001, 0.002, 0.004],
    )
    .option('--other-rates <list>', 'the same of embeddings, head and norms', numbers, [0.01, 0.02, 0.04])
    .option('--rank-ratios <list>', 'of compact', ratios, [0.25])
    .option('--seeds <list>', 'of weights, projections and data order', list(positiveInteger), [42, 1, 2])
    .option(
      '--finalists <count>',
      'cells of each method that train with all of the seeds',
      positiveInteger,
      3,
    )
    .addOption(deviceOption())
    .option('--threads <count>', 'CPU threads', positiveInteger)
    .option('--ledger <file>', 'where finished runs are kept as JSON lines, and found again')
    .addHelpText('after', help);
  addRecipeFlags(command, 'method').action((flags: QualityFlags) => qualityBench(flags, terminal));
}

async function qualityBench(flags: QualityFlags, terminal: Terminal): Promise<void> {
  const { steps, matrixRates, otherRates, seeds, finalists, threads } = flags;
  const device = benchDevice(flags.device, threads);
  const ledger = new QualityLedger(flags.ledger);
  const status = new StatusLine(terminal);
  const methods = [denseMethod, ...comparedMethods(flags)];
  const variants = methods.map(({ variant }) => variant);
  const grid: QualityGrid = { variants, matrixRates, otherRates, seeds, finalists };
  const runs = await sweep(grid, async (cell) => {
    const method = methods.find(({ variant }) => variant === cell.variant)!;
    const recipe = tunedRecipe(method, cell, cell.seed, steps);
    const known = ledger.find(recipe);
    if (known !== undefined) return known;
    const loss = await lossOf({ ...recipe, device: device.word, threads }, (step, trainLoss) =>
      status.show(describe(cell), `step ${step}/${steps}  loss ${trainLoss.toFixed(3)}`),
    );
    ledger.append(cell, recipe, loss, device);
    return loss;
  });
  status.clear();
  const results = bestResults(grid, runs);
  terminal.object({ type: 'bench-quality', steps, grid, results, runs });
  for (const variant of variants) printRuns(terminal, grid, variant, runs);
  printResults(terminal, results);
}

/** The method that was asked for, else compact. */
function comparedMethods(flags: QualityFlags): readonly DemoMethod[] {
  const asked = methodOfFlags(flags);
  if (asked === undefined) return flags.rankRatios.map(compactMethod);
  const { seed: _, ...options } = asked.describe();
  return [{ variant: describeMethod(asked), options: options as DemoMethod['options'] }];
}

const describe = ({ variant, matrixRate, otherRate, seed }: QualityCell): string =>
  `${variant}, matrices ${formatSmall(matrixRate)}, others ${formatSmall(otherRate)}, seed ${seed}`;

/** Last held-out loss; infinite when the run stopped being numbers, which is a result as well. */
async function lossOf(
  recipe: Readonly<Record<string, unknown>>,
  onStep: (step: number, loss: number) => void,
): Promise<number> {
  try {
    const { evaluations } = await runTraining({ recipe }, ({ step, loss }) => onStep(step, loss));
    return evaluations.at(-1)!.loss;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_COMPACT_NOT_FINITE') return Infinity;
    throw error;
  }
}

/** Rates of matrices across, the others down. */
function printRuns(
  terminal: Terminal,
  { matrixRates, otherRates }: QualityGrid,
  variant: string,
  runs: readonly QualityRun[],
): void {
  const own = runs.filter((run) => run.variant === variant);
  const lossesAt = (matrixRate: number, otherRate: number): string =>
    own
      .filter((run) => run.matrixRate === matrixRate && run.otherRate === otherRate)
      .map(({ loss }) => (loss < Infinity ? loss.toFixed(4) : 'diverged'))
      .join(' ');
  terminal.line(`\n${terminal.style('bold', `${variant}: held-out loss, one number a seed`)}`);
  terminal.line(
    renderTable(
      [
        { title: 'others \\ matrices' },
        ...matrixRates.map((rate) => ({ title: formatSmall(rate), align: 'right' as const })),
      ],
      otherRates.map((other) => [formatSmall(other), ...matrixRates.map((rate) => lossesAt(rate, other))]),
    ),
  );
}

function printResults(terminal: Terminal, results: readonly QualityResult[]): void {
  terminal.line();
  for (const { variant, matrixRate, otherRate, meanLoss, lowestLoss, highestLoss, ...result } of results) {
    const { seeds, ofFirst, atEdgeOf } = result;
    const spread =
      seeds.length > 1
        ? ` (${lowestLoss.toFixed(4)} to ${highestLoss.toFixed(4)}, ${seeds.length} seeds)`
        : ' (one seed)';
    const ratio = variant === results[0]!.variant ? '' : `, ${signed(ofFirst - 1)} of ${results[0]!.variant}`;
    terminal.line(
      `  ${variant}: ${meanLoss.toFixed(4)}${spread} at ${formatSmall(matrixRate)} for matrices, ` +
        `${formatSmall(otherRate)} for the others${ratio}`,
    );
    for (const axis of atEdgeOf)
      terminal.warn(
        `  ${variant}: its ${axes[axis].words} is at the edge of the grid; a better one may lie beyond (${axes[axis].flag})`,
      );
  }
}

const signed = (fraction: number): string => `${fraction >= 0 ? '+' : ''}${formatPercent(fraction)}`;

const list =
  <T>(parse: (text: string) => T) =>
  (text: string): T[] =>
    text.split(',').map(parse);
const ratios = list(ratio);
const numbers = list((text) => {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('expected positive numbers with commas between');
  return value;
});
