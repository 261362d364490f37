import { writeFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { formatPercent, formatSmall } from '../format.js';
import { positiveInteger, positiveNumber } from '../options.js';
import { renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { standalone } from './charts/figure.js';
import { lossCurves } from './charts/loss-curves.js';
import { demoRecipe } from './demo.js';
import { benchDevice, deviceOption } from './device.js';
import { StatusLine } from './status-line.js';
import type { LossPoint } from './report.js';
import { runTraining } from './training-run.js';

const help = `
Trains the demo model once for every method, learning rate and seed, on the same batches for every method, and compares
each method's best learning rate (lowest mean held-out loss over the seeds). This is how the learning rates of
'bench memory' were found.

Examples:
  compact-train bench quality
  compact-train bench quality --learning-rates 0.001,0.002,0.005,0.01,0.02 --seeds 1,2,3 --steps 1000`;

interface QualityFlags {
  readonly steps: number;
  readonly learningRates: readonly number[];
  readonly seeds: readonly number[];
  readonly rankRatios: readonly number[];
  readonly updateScale: number;
  readonly refreshInterval: number;
  readonly device: string;
  readonly svg?: string;
}

export interface QualityRun {
  readonly variant: string;
  readonly learningRate: number;
  readonly seed: number;
  readonly finalLoss: number;
  readonly losses: readonly LossPoint[];
  readonly evaluations: readonly LossPoint[];
}

/** One method at its best learning rate. */
interface QualityResult {
  readonly variant: string;
  readonly learningRate: number;
  readonly meanLoss: number; // over the seeds
  readonly ofDense: number;
}

export function registerQualityBench(bench: Command, terminal: Terminal): void {
  bench
    .command('quality')
    .summary('loss of dense and compact over learning rates and seeds')
    .description('Compares what the methods learn from the same text, each at its own best learning rate.')
    .option('--steps <count>', 'optimizer steps of each run', positiveInteger, 600)
    .option('--learning-rates <list>', 'tried for every method', numbers, [0.001, 0.002, 0.005, 0.01, 0.02])
    .option('--rank-ratios <list>', 'of compact', numbers, [0.25])
    .option('--update-scale <number>', 'of compact', positiveNumber, 0.25)
    .option('--refresh-interval <steps>', 'of compact', positiveInteger, 50)
    .option('--seeds <list>', 'of weights and data order', numbers, [42])
    .addOption(deviceOption())
    .option('--svg <file>', 'write the loss curves of the best runs')
    .addHelpText('after', help)
    .action((flags: QualityFlags) => qualityBench(flags, terminal));
}

async function qualityBench(flags: QualityFlags, terminal: Terminal): Promise<void> {
  const status = new StatusLine(terminal);
  const { updateScale, refreshInterval } = flags;
  const device = benchDevice(flags.device).word;
  const methods = [
    { variant: 'dense', method: { name: 'dense' } },
    ...flags.rankRatios.map((rankRatio) => ({
      variant: `compact ${formatSmall(rankRatio)} n`,
      method: { name: 'compact', rankRatio, updateScale, refreshInterval, store: 'lazy' },
    })),
  ];
  const runs: QualityRun[] = [];
  for (const { variant, method } of methods)
    for (const learningRate of flags.learningRates)
      for (const seed of flags.seeds) {
        const recipe = { ...demoRecipe(flags.steps), method, learningRate, seed, device };
        const phase = `${variant}, learning rate ${learningRate}, seed ${seed}`;
        const { losses, evaluations } = await runTraining({ recipe }, ({ step, maxSteps, loss }) =>
          status.show(phase, `step ${step}/${maxSteps}  loss ${loss.toFixed(3)}`),
        );
        runs.push({ variant, learningRate, seed, finalLoss: evaluations.at(-1)!.loss, losses, evaluations });
      }
  status.clear();
  const results = bestResults(runs);
  terminal.object({ type: 'bench-quality', steps: flags.steps, results, runs });
  printRuns(terminal, runs, flags.learningRates);
  printResults(terminal, results);
  if (flags.svg === undefined) return;
  const best = results.map((result) =>
    runs.find((run) => run.variant === result.variant && run.learningRate === result.learningRate)!,
  );
  const size = { width: 960, height: 420 };
  writeFileSync(
    flags.svg,
    standalone(lossCurves(best, size.width, size.height), size, 'Loss of each method against tokens'),
  );
}

/** The learning rate with the lowest mean loss over the seeds, for each method. */
export function bestResults(runs: readonly QualityRun[]): QualityResult[] {
  const variants = [...new Set(runs.map((run) => run.variant))];
  const best = variants.map((variant) => {
    const own = runs.filter((run) => run.variant === variant);
    const means = [...new Set(own.map((run) => run.learningRate))].map((learningRate) => {
      const losses = own.filter((run) => run.learningRate === learningRate).map((run) => run.finalLoss);
      return { variant, learningRate, meanLoss: losses.reduce((a, b) => a + b, 0) / losses.length };
    });
    // A run that diverged has no loss to compare.
    return means.reduce((a, b) => (Number.isNaN(a.meanLoss) || b.meanLoss < a.meanLoss ? b : a));
  });
  return best.map((result) => ({ ...result, ofDense: result.meanLoss / best[0]!.meanLoss }));
}

function printRuns(terminal: Terminal, runs: readonly QualityRun[], learningRates: readonly number[]): void {
  const variants = [...new Set(runs.map((run) => run.variant))];
  const right = { align: 'right' } as const;
  terminal.line(terminal.style('bold', 'Held-out loss by learning rate, one number a seed'));
  terminal.line(
    renderTable(
      [{ title: '' }, ...learningRates.map((rate) => ({ title: formatSmall(rate), ...right }))],
      variants.map((variant) => [
        variant,
        ...learningRates.map((rate) =>
          runs
            .filter((run) => run.variant === variant && run.learningRate === rate)
            .map((run) => run.finalLoss.toFixed(4))
            .join(' '),
        ),
      ]),
    ),
  );
}

function printResults(terminal: Terminal, results: readonly QualityResult[]): void {
  terminal.line();
  for (const { variant, learningRate, meanLoss, ofDense } of results)
    terminal.line(
      `  ${variant}: ${meanLoss.toFixed(4)} at ${formatSmall(learningRate)} (${formatPercent(ofDense)} of dense)`,
    );
}

function numbers(text: string): number[] {
  const values = text.split(',').map(Number);
  if (values.some((value) => !Number.isFinite(value) || value <= 0))
    throw new InvalidArgumentError('expected positive numbers with commas between');
  return values;
}
