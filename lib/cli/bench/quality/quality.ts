import { InvalidArgumentError, Option, type Command } from 'commander';
import { compactError } from '../../../errors.js';
import { llamaPresets } from '../../../models/index.js';
import { loadModel } from '../../../train/weights/load-model.js';
import { formatPercent, formatSmall } from '../../format.js';
import { describeMethod } from '../../describe-method.js';
import { onInterrupt } from '../../interrupt.js';
import { methodOfFlags } from '../../method-flags.js';
import { methodList, methodListHelp, type ListedMethod } from '../../method-list.js';
import { positiveInteger, ratio } from '../../options.js';
import { addRecipeFlags, methodFlagNames, type RecipeFlags } from '../../recipe-flags.js';
import { renderTable } from '../../table.js';
import type { Terminal } from '../../terminal.js';
import {
  compactMethod,
  demoSize,
  denseMethod,
  tunedRecipe,
  type DemoMethod,
  type DemoRates,
  type DemoSize,
} from '../training/demo-recipe.js';
import { benchDevice, deviceOption } from '../device.js';
import { contend, listedContender } from './contenders.js';
import { QualityLedger } from './quality-ledger.js';
import {
  bestResults,
  sweep,
  type Contender,
  type QualityCell,
  type QualityGrid,
  type QualityResult,
  type QualityRun,
} from './quality-sweep.js';
import { StatusLine } from '../status-line.js';
import { runTraining } from '../training/training-run.js';

const help = `
Trains a small model with every method on the same batches, and tunes each over a grid of two peak rates: that of
matrices as it acts on them (the learning rate times the method's updateScale), and that of embeddings, head and norms.
Every cell trains with the first seed, the best ones with the others; each method is then judged by its lowest mean
held-out loss. 'bench memory' uses the rates that were found like this.

The rates of the grid are AdamW's. Other optimizers and adapters have a grid with as many cells and the same ratios
between them, moved to where their rates lie; methods that freeze embeddings, head and norms have one row of it. With
--rungs, whole runs are made of the best cells of shorter ones alone.

With --ledger, every finished run is appended to that file at once and never trained again: a sweep that was stopped
(Ctrl-C) goes on with the same command, hours later or on another day.

With --method, --optimizer, --weights or --set that method stands beside dense training instead of compact; with --methods
those of the list, compared with the first of them. Unless a word says otherwise, adapters have rank n/4 there, and what
papers do every few hundred or thousand steps happens every 50 (relora: 100).

${methodListHelp}

Examples:
  compact-train bench quality --ledger quality.jsonl
  compact-train bench quality --ledger quality.jsonl --methods all --rungs 60,180
  compact-train bench quality --ledger quality.jsonl --methods dense,dense+muon,compact+muon:rankRatio=0.5
  compact-train bench quality --ledger quality.jsonl --rank-ratios 1/4,1/2 --other-rates 0.01,0.02,0.04,0.08`;

interface QualityFlags extends RecipeFlags {
  readonly methods?: readonly ListedMethod[];
  readonly model: string;
  readonly batch: number;
  readonly sequence: number;
  readonly steps: number;
  readonly rungs: readonly number[];
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
    .summary('loss of dense, compact and any other method, all tuned over rates')
    .description('Compares what the methods learn from the same text, each at the best rates of one grid.')
    .addOption(
      new Option('--methods <list>', "methods to compare: 'all', or a list (see below)")
        .argParser(methodList)
        .conflicts([...methodFlagNames, 'set', 'rankRatios']),
    )
    .option('--model <model>', 'a preset, or the path of a config.json or of its folder', demoSize.model)
    .option('--batch <sequences>', 'sequences of a step', positiveInteger, demoSize.batchSize)
    .option('--sequence <tokens>', 'tokens of a sequence', positiveInteger, demoSize.sequenceLength)
    .option('--steps <count>', 'optimizer steps of each run', positiveInteger, 500)
    .option(
      '--rungs <list>',
      'steps of shorter runs that go before, each of which passes on the best third of its cells',
      list(positiveInteger),
      [],
    )
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
  const { steps, rungs, matrixRates, otherRates, seeds, finalists, threads } = flags;
  const device = benchDevice(flags.device, threads);
  const ledger = new QualityLedger(flags.ledger);
  const status = new StatusLine(terminal);
  const size = sizeOf(flags);
  // Every method is planned before any is trained: what is refused is refused now.
  const methods = comparedMethods(flags).map((method) => contend(method, flags, size, device.target));
  const variants = methods.map(({ variant }) => variant);
  const contenders = methods.map(({ variant, ...own }): Contender => ({
    variant,
    matrixRates: own.matrixRates,
    otherRates: own.otherRates,
  }));
  const grid: QualityGrid = { contenders, steps, rungs, seeds, finalists };
  using interrupt = onInterrupt(() => {});
  let numTrained = 0;
  const runs = await sweep(grid, async (cell) => {
    const index = variants.indexOf(cell.variant);
    const recipe = tunedRecipe(methods[index]!, cell, cell.seed, cell.steps, size);
    const known = ledger.find(recipe);
    if (known !== undefined) return known;
    const phase = `${index + 1}/${variants.length} ${describe(cell)}`;
    const loss = await lossOf(
      { ...recipe, device: device.word, threads },
      (step, trainLoss) => status.show(phase, `step ${step}/${cell.steps}  loss ${trainLoss.toFixed(3)}`),
      interrupt.signal,
    ).catch((error: unknown) => {
      status.clear();
      throw interrupt.signal.aborted ? interrupted(interrupt.signal, numTrained, flags.ledger) : error;
    });
    ledger.append(cell, recipe, loss, device);
    numTrained++;
    return loss;
  });
  status.clear();
  const results = bestResults(grid, runs);
  const { contenders: _, ...common } = grid;
  terminal.object({
    type: 'bench-quality',
    steps,
    model: size.model,
    grid: { variants, matrixRates, otherRates, ...common, contenders },
    results,
    runs,
  });
  for (const contender of contenders) printRuns(terminal, contender, steps, runs);
  printResults(terminal, results);
}

function sizeOf({ model, batch, sequence }: QualityFlags): DemoSize {
  const { architecture: _, ...config } = loadModel(model).describe();
  const isPreset = Object.hasOwn(llamaPresets, model);
  return { model: isPreset ? model : config, batchSize: batch, sequenceLength: sequence };
}

/** The methods of the list; else dense and the one that was asked for, else dense and compact. */
function comparedMethods(flags: QualityFlags): readonly DemoMethod[] {
  if (flags.methods !== undefined) {
    const { hiddenSize } = loadModel(flags.model).describe() as { hiddenSize: number };
    return flags.methods.map((listed) => listedContender(listed, hiddenSize));
  }
  const asked = methodOfFlags(flags);
  if (asked === undefined) return [denseMethod, ...flags.rankRatios.map(compactMethod)];
  const { seed: _, ...options } = asked.describe();
  return [denseMethod, { variant: describeMethod(asked), options: options as DemoMethod['options'] }];
}

const describe = ({ variant, matrixRate, otherRate, seed, steps }: QualityCell): string =>
  `${variant}, matrices ${formatSmall(matrixRate)}, ` +
  `${otherRate === undefined ? '' : `others ${formatSmall(otherRate)}, `}seed ${seed}, ${steps} steps`;

function interrupted({ reason }: AbortSignal, numTrained: number, ledger: string | undefined): Error {
  const { what } = reason as { readonly what: string };
  const kept =
    ledger === undefined
      ? 'nothing is kept without --ledger'
      : `${numTrained} finished runs were added to ${ledger}, the same command goes on`;
  return compactError('ERR_COMPACT_ABORTED', `${what}: ${kept}`);
}

/** Last held-out loss; infinite when the run stopped being numbers, which is a result as well. */
async function lossOf(
  recipe: Readonly<Record<string, unknown>>,
  onStep: (step: number, loss: number) => void,
  signal: AbortSignal,
): Promise<number> {
  try {
    const { evaluations } = await runTraining({ recipe }, ({ step, loss }) => onStep(step, loss), signal);
    return evaluations.at(-1)!.loss;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_COMPACT_NOT_FINITE') return Infinity;
    throw error;
  }
}

/** Rates of matrices across, the others down; of cells that no whole run was made of, the longest of their shorter runs. */
function printRuns(
  terminal: Terminal,
  { variant, matrixRates, otherRates }: Contender,
  steps: number,
  runs: readonly QualityRun[],
): void {
  const own = runs.filter((run) => run.variant === variant);
  const lossesAt = (matrixRate: number, otherRate: number | undefined): string => {
    const cell = own.filter((run) => run.matrixRate === matrixRate && run.otherRate === otherRate);
    const longest = Math.max(...cell.map((run) => run.steps));
    const losses = cell
      .filter((run) => run.steps === longest)
      .map(({ loss }) => (loss < Infinity ? loss.toFixed(4) : 'diverged'))
      .join(' ');
    return longest === steps ? losses : `${losses} (${longest} steps)`;
  };
  const rows = otherRates.length === 0 ? [undefined] : otherRates;
  terminal.line(`\n${terminal.style('bold', `${variant}: held-out loss, one number a seed`)}`);
  terminal.line(
    renderTable(
      [
        { title: 'others \\ matrices' },
        ...matrixRates.map((rate) => ({ title: formatSmall(rate), align: 'right' as const })),
      ],
      rows.map((other) => [
        other === undefined ? 'frozen' : formatSmall(other),
        ...matrixRates.map((rate) => lossesAt(rate, other)),
      ]),
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
    const others = otherRate === undefined ? '' : `, ${formatSmall(otherRate)} for the others`;
    terminal.line(
      `  ${variant}: ${meanLoss.toFixed(4)}${spread} at ${formatSmall(matrixRate)} for matrices${others}${ratio}`,
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
