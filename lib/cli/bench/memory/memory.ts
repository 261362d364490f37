import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Option, type Command } from 'commander';
import { compactError, nearestName } from '../../../errors.js';
import type { Target } from '../../../compile/index.js';
import { llamaPresets, type LlamaPreset } from '../../../models/index.js';
import { describeRequest, planRequest } from '../../plan-request.js';
import { methodList, methodListHelp, type ListedMethod } from '../../method-list.js';
import { choice, positiveInteger } from '../../options.js';
import { plannedThreads } from '../../planned-threads.js';
import type { Terminal } from '../../terminal.js';
import { reportFigure } from './charts/figure.js';
import { peaksFigure } from './charts/peaks-figure.js';
import { runDemo } from './demo.js';
import { benchDevice, deviceOption } from '../device.js';
import { appendToLedger, type LedgerRow } from '../ledger.js';
import { thisMachine } from '../machine.js';
import { reportPage } from './page/page.js';
import { plannedMethods, plannedSavings, plannedTable, timelineRequests } from './planned-peaks.js';
import { printPlanned, printReport } from './print-report.js';
import { reportVersion, type BenchReport, type NamedTimeline, type PlannedTable } from './report.js';
import { StatusLine } from '../status-line.js';
import { timelineOf } from '../training/timeline.js';
import { writeReport } from '../write-report.js';

const picturedModel = 'llama-350m';
const demoSteps = { full: 500, quick: 100 } as const;

const help = `
Plans the peak memory of LLaMA models from 60M to 65B under each method (nothing is allocated for that), then trains a
small model on real text with and without compression, each in a process of its own.

Writes report.json, report.svg and report.html (one file, works offline) into the output folder.
Peaks on the CPU are planned for ${plannedThreads} threads, so they are the same on every machine.

${methodListHelp}

Examples:
  compact-train bench memory                           within 6 minutes on two cores
  compact-train bench memory --quick                   within 90 seconds
  compact-train bench memory --planned                 the tables of planned peaks alone, in half a minute
  compact-train bench memory --planned --svg peaks.svg   with a picture of them
  compact-train bench memory --methods all --model llama-1b   every method beside dense training
  compact-train bench memory --methods galore,dense+muon,lora:r=16
  compact-train bench memory --json | jq .demo.runs[].perplexity`;

export interface MemoryBenchFlags {
  readonly quick?: boolean;
  readonly steps?: number;
  readonly planned?: boolean;
  readonly methods?: readonly ListedMethod[];
  readonly model?: string;
  readonly output: string;
  readonly svg?: string;
  readonly device: string;
  readonly ledger?: string;
}

export function registerMemoryBench(bench: Command, terminal: Terminal): void {
  bench
    .command('memory', { isDefault: true })
    .summary('planned peaks of every method, and a small model trained with and without (default)')
    .description('The main job: what compression saves, planned to the byte and measured.')
    .option('--quick', 'a shorter training run')
    .option('--steps <count>', 'optimizer steps of each training run', positiveInteger)
    .addOption(
      new Option('--planned', 'planned peaks alone: trains nothing and writes no report').conflicts([
        'quick',
        'steps',
        'output',
        'ledger',
      ]),
    )
    .addOption(
      new Option(
        '--methods <list>',
        "planned peaks of one model under other methods: 'all', or a list (see below); trains nothing",
      )
        .argParser(methodList)
        .conflicts(['quick', 'steps', 'output', 'ledger', 'svg']),
    )
    .addOption(
      choice(
        '--model <preset>',
        `that --methods plans (default: ${picturedModel})`,
        Object.keys(llamaPresets),
      ),
    )
    .option('--output <folder>', 'where the report goes', 'compact-train-report')
    .option('--svg <file>', `also write a picture of the planned peaks of ${picturedModel}`)
    .addOption(deviceOption())
    .option('--ledger <file>', 'append the measured figures as JSON lines')
    .addHelpText('after', help)
    .allowExcessArguments(true)
    .action((flags: MemoryBenchFlags, command: Command) => {
      refuseName(command.args[0], bench);
      return memoryBench(flags, terminal);
    });
}

/** As the default, this command also gets the misspelled names of the others. */
function refuseName(name: string | undefined, bench: Command): void {
  if (name === undefined) return;
  const known = bench.commands.map((command) => command.name());
  const nearest = nearestName(name, known);
  throw compactError('ERR_COMPACT_ARGUMENT', `unknown benchmark '${name}'`, {
    expected: `one of ${known.join(', ')}`,
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}

async function memoryBench(flags: MemoryBenchFlags, terminal: Terminal): Promise<void> {
  if (flags.methods !== undefined) {
    methodsBench(flags.methods, flags, terminal);
    return;
  }
  if (flags.model !== undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', '--model belongs to --methods', {
      op: '--model',
      remedy: 'Add --methods all, or leave it out: all models are planned',
    });
  const startedAt = performance.now();
  const status = new StatusLine(terminal);
  // Made first: a folder that cannot be written is found before the work, not after it.
  if (!flags.planned) mkdirSync(flags.output, { recursive: true });
  if (flags.svg !== undefined) mkdirSync(dirname(flags.svg), { recursive: true });
  const device = benchDevice(flags.device);
  const { target } = benchDevice(flags.device, plannedThreads);
  const ours = plannedTable('ours', target, (model) => status.show('planning', model));
  if (flags.svg !== undefined) writePicture(flags.svg, ours);
  const published = plannedTable('published', target, (model) => status.show('planning', model));
  const plans = { planned: [ours, published], savings: plannedSavings(published) };
  if (flags.planned) {
    status.clear();
    printPlanned(terminal, plans);
    terminal.object({ type: 'bench-memory', reportVersion, ...plans });
    return;
  }
  const steps = flags.steps ?? (flags.quick ? demoSteps.quick : demoSteps.full);
  const { demo, timelines } = await runDemo(steps, device.word, (variant, { step, maxSteps, loss }) =>
    status.show(`training ${variant}`, `step ${step}/${maxSteps}  loss ${loss.toFixed(3)}`),
  );
  const report: BenchReport = {
    type: 'bench-memory',
    reportVersion,
    createdAt: new Date().toISOString(),
    quick: flags.quick ?? false,
    machine: thisMachine(device),
    ...plans,
    timelines: [...presetTimelines(picturedModel, target), ...timelines],
    demo,
    durationSeconds: (performance.now() - startedAt) / 1000,
  };
  status.clear();
  const files = writeReport(flags.output, 'report', report, {
    figure: reportFigure(report),
    page: reportPage(report),
  });
  if (flags.ledger !== undefined) appendToLedger(flags.ledger, ledgerRows(report), device);
  printReport(terminal, report);
  terminal.line(`\nDone in ${Math.round(report.durationSeconds)} s. Open ${files.page} in a browser.`);
  const { timelines: _, ...printed } = report;
  terminal.object({ ...printed, files });
}

/** Planned peaks of one model under the methods of a list. */
function methodsBench(
  methods: readonly ListedMethod[],
  { model = picturedModel, device }: Pick<MemoryBenchFlags, 'model' | 'device'>,
  terminal: Terminal,
): void {
  const status = new StatusLine(terminal);
  const { target } = benchDevice(device, plannedThreads);
  const table = plannedMethods(model, methods, target, (word) => status.show('planning', word));
  status.clear();
  const plans = { planned: [table], savings: [] };
  printPlanned(terminal, plans);
  terminal.object({ type: 'bench-memory', reportVersion, ...plans });
}

function writePicture(file: string, table: PlannedTable): void {
  const model = table.models.find((candidate) => candidate.model === picturedModel)!;
  writeFileSync(file, `${peaksFigure(table, model)}\n`);
}

function presetTimelines(model: LlamaPreset, target: Target): NamedTimeline[] {
  return timelineRequests(model).map((request) => ({
    ...timelineOf(planRequest(request, target).plan),
    title: `${model}, ${request.batch} × ${request.sequence} tokens, ${request.dtype}`,
    variant: describeRequest(request),
  }));
}

function ledgerRows({ demo }: BenchReport): LedgerRow[] {
  const shape = `llama-demo ${demo.batchSize}x${demo.sequenceLength}, ${demo.maxSteps} steps`;
  return demo.runs.flatMap(
    (run) =>
    (
      [
        ['held-out loss', 'nats', run.finalLoss],
        ['throughput', 'tokens/s', run.tokensPerSecond],
        ['planned', 'bytes', run.plannedBytes],
        ['process', 'bytes', run.processBytes],
        ['event-loop delay p99', 'ms', run.eventLoopDelayP99Ms],
      ] as const
    ).map(([metric, unit, value]) => ({
      case: 'memory-demo', provider: run.variant, metric, unit, shape, dtype: demo.dtype,
      p20: value, p50: value, p80: value, repeats: 1,
    })), // prettier-ignore
  );
}
