import { mkdirSync } from 'node:fs';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { compactError } from '../../../errors.js';
import { llamaPresets } from '../../../models/index.js';
import { loadModel } from '../../../train/weights/load-model.js';
import { formatSmall } from '../../format.js';
import { describeMethod } from '../../describe-method.js';
import { onInterrupt } from '../../interrupt.js';
import { methodOfFlags } from '../../method-flags.js';
import { methodList, methodListHelp, type ListedMethod } from '../../method-list.js';
import { choice, positiveInteger, ratio } from '../../options.js';
import { addRecipeFlags, methodFlagNames, type RecipeFlags } from '../../recipe-flags.js';
import type { Terminal } from '../../terminal.js';
import {
  compactMethod,
  demoRecipe,
  demoSize,
  denseMethod,
  tunedRecipe,
  type DemoMethod,
  type DemoSize,
} from '../training/demo-recipe.js';
import { benchDevice, deviceOption } from '../device.js';
import { thisMachine } from '../machine.js';
import { tradeOffFigure } from './charts/trade-off-figure.js';
import { contend, listedContender } from './contenders.js';
import { qualityPage } from './page/page.js';
import { printQuality } from './print-quality.js';
import { QualityLedger } from './quality-ledger.js';
import { recomputeWords, type QualityReport } from './quality-report.js';
import { bestResults, sweep, type Contender, type QualityCell, type QualityGrid } from './quality-sweep.js';
import { stepCosts } from './step-costs.js';
import { StatusLine } from '../status-line.js';
import { runTraining } from '../training/training-run.js';
import { writeReport } from '../write-report.js';

const help = `
Trains a small model with every method on the same batches, and tunes each over a grid of two peak rates: that of
matrices as it acts on them (the learning rate times the method's updateScale), and that of embeddings, head and norms.
Every cell trains with the first seed, the best ones with the others; each method is then judged by its lowest mean
held-out loss. 'bench memory' uses the rates that were found like this.

The rates of the grid are AdamW's. Other optimizers and adapters have a grid with as many cells and the same ratios
between them, moved to where their rates lie; methods that freeze embeddings, head and norms have one row of it. With
--rungs, whole runs are made of the best cells of shorter ones alone.

Then a step of each is planned to the byte and timed beside plain dense ones: as it is, with selective recompute, and with
layer checkpointing, which change what is held and not what is learnt. With --output, a picture of peaks against losses and
speeds, a page and all numbers are written into that folder.

With --ledger, every finished run is appended to that file at once and never trained again: a sweep that was stopped
(Ctrl-C) goes on with the same command, hours later or on another day.

With --method, --optimizer, --weights or --set that method stands beside dense training instead of compact; with --methods
those of the list, compared with the first of them. Unless a word says otherwise, adapters have rank n/4 there, and what
papers do every few hundred or thousand steps happens every 50 (relora: 100, badam: 25).

${methodListHelp}

Examples:
  compact-train bench quality --ledger quality.jsonl
  compact-train bench quality --ledger quality.jsonl --methods all --rungs 60,180
  compact-train bench quality --ledger quality.jsonl --methods dense,dense+muon,compact+muon:rankRatio=0.5
  compact-train bench quality --ledger quality.jsonl --methods all --rungs 60,180 --output compared
  compact-train bench quality --ledger quality.jsonl --rank-ratios 1/4,1/2 --other-rates 0.01,0.02,0.04,0.08
  compact-train bench quality --ledger c4.jsonl --device cuda --model llama-60m --dtype bf16 --data c4 --tokenizer tokenizer.json \
    --batch 128 --accumulation 4 --steps 10000 --rungs 500,2000 --methods dense,compact,galore`;

interface QualityFlags extends RecipeFlags {
  readonly methods?: readonly ListedMethod[];
  readonly model: string;
  readonly batch: number;
  readonly sequence: number;
  readonly accumulation?: number;
  readonly dtype?: 'f32' | 'bf16';
  readonly data?: string;
  readonly tokenizer?: string;
  readonly steps: number;
  readonly rungs: readonly number[];
  readonly matrixRates: readonly number[];
  readonly otherRates: readonly number[];
  readonly seeds: readonly number[];
  readonly finalists: number;
  readonly rankRatios: readonly number[];
  readonly device: string;
  readonly threads?: number;
  readonly rounds: number;
  readonly ledger?: string;
  readonly output?: string;
}

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
    .option('--accumulation <count>', 'micro-batches of a step', positiveInteger)
    .addOption(choice('--dtype <type>', 'of weights and activations (default: f32)', ['f32', 'bf16']))
    .option('--data <path>', 'text to train on (default: the bundled one)')
    .option('--tokenizer <path>', 'bytes, a tokenizer.json, or a folder that holds one (default: bytes)')
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
    .option(
      '--rounds <count>',
      'rounds of four timed steps of each beside dense training',
      positiveInteger,
      1,
    )
    .option('--output <folder>', 'also write quality.json, quality.svg and quality.html into this folder')
    .option('--ledger <file>', 'where finished runs are kept as JSON lines, and found again')
    .addHelpText('after', help);
  addRecipeFlags(command, 'method').action((flags: QualityFlags) => qualityBench(flags, terminal));
}

async function qualityBench(flags: QualityFlags, terminal: Terminal): Promise<void> {
  const { steps, rungs, seeds, finalists, threads } = flags;
  const device = benchDevice(flags.device, threads);
  const ledger = new QualityLedger(flags.ledger);
  const status = new StatusLine(terminal);
  const size = sizeOf(flags);
  // Made first: a folder that cannot be written is found before the work, not after it.
  if (flags.output !== undefined) mkdirSync(flags.output, { recursive: true });
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
  const { data, ...shape } = demoRecipe(steps, size);
  const { batchSize, sequenceLength, dtype, gradientAccumulationSteps = 1 } = shape;
  const costs = await stepCosts(
    methods,
    { model: flags.model, batchSize, sequenceLength, dtype },
    { device, threads, rounds: flags.rounds },
    (variant, recompute) => status.show('timing', [variant, recomputeWords[recompute]].join(' ')),
  );
  status.clear();
  const results = bestResults(grid, runs);
  const { steps: _, ...cells } = grid;
  const report: QualityReport = {
    type: 'bench-quality',
    createdAt: new Date().toISOString(),
    machine: thisMachine(device),
    model: size.model,
    numParameters: loadModel(flags.model).numParameters,
    corpus: data.train,
    batchSize,
    sequenceLength,
    gradientAccumulationSteps,
    dtype,
    steps,
    grid: { variants, ...cells },
    results,
    withoutResult: variants.filter((variant) => !results.some((result) => result.variant === variant)),
    runs,
    costs,
  };
  printQuality(terminal, report);
  const files =
    flags.output === undefined
      ? undefined
      : writeReport(flags.output, 'quality', report, {
          figure: tradeOffFigure(report),
          page: qualityPage(report),
        });
  if (files !== undefined) terminal.line(`\nOpen ${files.page} in a browser.`);
  terminal.object({ ...report, files });
}

/** What a run is made of, as a recipe has it: what was not asked for is left out, so that ledgers know their runs again. */
function sizeOf({ model, batch, sequence, accumulation, dtype, data, tokenizer }: QualityFlags): DemoSize {
  if (data === undefined && tokenizer !== undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', '--tokenizer belongs to --data', {
      op: '--tokenizer',
      remedy: 'Name a text as well, or leave it out: the bundled text is read as bytes',
    });
  const { architecture: _, ...config } = loadModel(model).describe();
  const isPreset = Object.hasOwn(llamaPresets, model);
  return {
    model: isPreset ? model : config,
    batchSize: batch,
    sequenceLength: sequence,
    ...(accumulation !== undefined && { gradientAccumulationSteps: accumulation }),
    ...(dtype !== undefined && { dtype }),
    ...(data !== undefined && { data: { train: data, ...(tokenizer !== undefined && { tokenizer }) } }),
  };
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
