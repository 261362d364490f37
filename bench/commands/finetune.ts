import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { benchDevice, deviceOption } from '../../lib/cli/bench/device.js';
import { RunLedger, type LedgerRun } from '../../lib/cli/bench/run-ledger.js';
import { StatusLine } from '../../lib/cli/bench/status-line.js';
import { formatBytes, formatPercent, formatSmall } from '../../lib/cli/format.js';
import { onInterrupt } from '../../lib/cli/interrupt.js';
import { positiveInteger } from '../../lib/cli/options.js';
import { renderTable } from '../../lib/cli/table.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { compactError, nearestName } from '../../lib/errors.js';
import { measureRun, valueOf, type MeasuredRun, type RunRecipe } from '../finetune/measured-run.js';
import { readSweep, runSweep, type Sweep, type SweepCell, type SweepResult } from '../finetune/sweep.js';

const help = `
A sweep is a YAML file: the model that is trained further, options of every run as in a recipe, seeds, and for each contender
its method and the rates that are tried. Every rate is tried with the first seed; the one that does best on what is held out of
the training data trains with the other seeds as well. Test data chooses nothing. Paths are as seen from the working folder.

Examples:
  scripts/bench finetune bench/finetune/banking77.yaml --threads 1 --ledger bench/results/finetune.jsonl
  scripts/bench finetune bench/finetune/gsm8k.yaml --contenders full,compact`;

interface FinetuneFlags {
  readonly contenders?: readonly string[];
  readonly device: string;
  readonly threads?: number;
  readonly ledger?: string;
}

/** A finished run in the ledger. */
export interface FinetuneRow extends LedgerRun, SweepCell, MeasuredRun {}

export function registerFinetuneBench(bench: Command, terminal: Terminal): void {
  bench
    .command('finetune')
    .summary('methods that train the same model further, each at its best rate')
    .description('Trains a model further with several methods, and tells what each learns, holds and costs.')
    .argument('<sweep>', 'a YAML file')
    .option('--contenders <names>', 'only these of the sweep, with commas between', names)
    .addOption(deviceOption())
    .option('--threads <count>', 'CPU threads', positiveInteger)
    .option('--ledger <file>', 'where finished runs are kept as JSON lines, and found again')
    .addHelpText('after', help)
    .action((file: string, flags: FinetuneFlags) => finetuneBench(file, flags, terminal));
}

async function finetuneBench(file: string, flags: FinetuneFlags, terminal: Terminal): Promise<void> {
  const sweep = chosen(readSweep(file), flags.contenders);
  const device = benchDevice(flags.device, flags.threads);
  const ledger = new RunLedger<FinetuneRow>(flags.ledger, sweep.case);
  const status = new StatusLine(terminal);
  const files = hashesOf(sweep);
  using interrupt = onInterrupt(() => {});
  const results = await runSweep(sweep, async (cell) => {
    const recipe = recipeOf(sweep, cell);
    const known = ledger.find({ ...recipe, files });
    if (known !== undefined) return known;
    const { contender, learningRate, seed } = cell;
    const phase = `${contender}, rate ${formatSmall(learningRate)}, seed ${seed}`;
    const run = await measureRun(recipe, {
      ...{ device, threads: flags.threads, signal: interrupt.signal },
      onStep: ({ step, maxSteps, loss }) =>
        status.show(phase, `step ${step}/${maxSteps}  loss ${loss.toFixed(3)}`),
    }).finally(() => status.clear());
    const row: FinetuneRow = {
      ...{ case: sweep.case, provider: contender },
      ...{ metric: metricOf(run), unit: run.heldOut?.accuracy === undefined ? 'nats' : 'share' },
      ...{ ...cell, ...run, recipe: { ...recipe, files } },
    };
    ledger.append(row, device);
    return row;
  });
  terminal.object({ type: 'bench-finetune', case: sweep.case, results });
  printResults(terminal, results);
}

/** The sweep with the contenders that were asked for. */
function chosen(sweep: Sweep, asked: readonly string[] | undefined): Sweep {
  if (asked === undefined) return sweep;
  const known = Object.keys(sweep.contenders);
  const unknown = asked.find((name) => !known.includes(name));
  if (unknown === undefined)
    return { ...sweep, contenders: Object.fromEntries(asked.map((name) => [name, sweep.contenders[name]!])) };
  const nearest = nearestName(unknown, known);
  throw compactError('ERR_COMPACT_ARGUMENT', `the sweep has no contender ${unknown}`, {
    op: '--contenders',
    expected: known.join(', '),
    received: unknown,
    remedy: nearest === undefined ? 'Choose among them' : `Did you mean ${nearest}?`,
  });
}

/** Everything that the outcome of a run depends on but for the content of files. */
function recipeOf({ model, test, options, contenders }: Sweep, cell: SweepCell): RunRecipe {
  const { contender, learningRate, seed } = cell;
  const { method } = contenders[contender]!;
  const ownSeed = Object.hasOwn(method, 'seed') || method['name'] !== 'compact' ? {} : { seed };
  return { model, test, options: { ...options, method: { ...method, ...ownSeed }, learningRate, seed } };
}

/** SHA-256, shortened, of the files that runs read, so that a run is not taken for one of other weights or data. */
function hashesOf({ model, test, options }: Sweep): Readonly<Record<string, string>> {
  const { records, train } = options['data'] as { readonly records?: string; readonly train?: string };
  const paths = [join(model, 'model.safetensors'), records, train, test];
  return Object.fromEntries(
    paths
      .filter((path) => path !== undefined)
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false)
      .map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)]),
  );
}

const metricOf = ({ heldOut, test }: MeasuredRun): string =>
  `${test === undefined ? 'held-out' : 'test'} ${heldOut?.accuracy === undefined ? 'loss' : 'accuracy'}`;

function printResults(terminal: Terminal, results: readonly SweepResult<FinetuneRow>[]): void {
  const rows = results.map(({ contender, learningRate, runs, isAtEdge }) => {
    const values = runs.map(valueOf);
    const [run] = runs as readonly [FinetuneRow, ...FinetuneRow[]];
    return [
      contender,
      `${formatSmall(learningRate)}${isAtEdge ? '*' : ''}`,
      values.includes(undefined) ? 'diverged' : spreadOf(values as number[]),
      formatBytes(run.plannedBytes),
      formatBytes(run.recomputedBytes),
      `${run.cpuMsPerStep.p50.toFixed(1)} ms`,
      formatPercent(run.dataWaitShare),
    ];
  });
  terminal.line(
    renderTable(
      [
        { title: '' },
        { title: 'rate', align: 'right' },
        { title: results[0]!.runs[0]!.metric },
        { title: 'planned', align: 'right' },
        { title: 'recompute cheap', align: 'right' },
        { title: 'step, CPU', align: 'right' },
        { title: 'data wait', align: 'right' },
      ],
      rows,
    ),
  );
  if (results.some(({ isAtEdge }) => isAtEdge))
    terminal.line('* the lowest or highest rate that was tried: a better one may lie beyond');
}

/** Mean, and lowest to highest where there are several. */
function spreadOf(values: readonly number[]): string {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  if (values.length === 1) return mean.toFixed(4);
  return `${mean.toFixed(4)} (${Math.min(...values).toFixed(4)} to ${Math.max(...values).toFixed(4)})`;
}

function names(text: string): string[] {
  const given = text.split(',');
  if (given.includes('')) throw new InvalidArgumentError('expected names with commas between');
  return given;
}
