import type { Command } from 'commander';
import { compile } from '../../lib/compile/index.js';
import { largestBatch } from '../../lib/memory/index.js';
import { llama } from '../../lib/models/index.js';
import { type GraphChoice, graphChoices } from '../../lib/runtime/index.js';
import { formatBytes } from '../../lib/cli/format.js';
import { byteCount, choice, positiveInteger } from '../../lib/cli/options.js';
import { compileOptions, describeRequest } from '../../lib/cli/plan-request.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { cellOptions, requestOf, type CellOptions } from './cell-options.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';
import { type LaunchGaps, measureLaunchGaps } from './launch-gaps.js';
import { timeSteps, type StepTimes } from '../../lib/cli/bench/steps/step-runner.js';

const help = `
One method alone in a process, as bench/peers/cell.py runs one PyTorch program: scripts/gpu-bench compares the two.

Examples:
  scripts/bench cell --device cuda --model llama-350m --batch 128 --method compact --store lazy --json
  scripts/bench cell --device cuda --model llama-350m --largest --memory-cap 24GiB --json`;

interface CellFlags extends CellOptions {
  readonly graphs: GraphChoice;
  readonly warmup: number;
  readonly steps: number;
  readonly memoryCap?: number;
  readonly launchGaps?: boolean;
  readonly largest?: boolean;
  readonly planOnly?: boolean;
}

/** What one cell measured. */
export interface CellResult extends Partial<StepTimes> {
  readonly provider: string;
  /** False when the memory cap is too small for one sequence, or for the batch that was asked for. */
  readonly fits: boolean;
  readonly batch: number;
  readonly plannedBytes: number;
  readonly launchGaps?: LaunchGaps;
}

export function registerCellBench(bench: Command, terminal: Terminal): void {
  cellOptions(bench.command('cell'))
    .summary('one method on one device, in a process of its own')
    .description('Times training steps of one method, with what it takes of the memory.')
    .addOption(choice('--graphs <choice>', 'runs as graphs on a GPU', graphChoices).default('auto'))
    .option('--warmup <count>', 'steps before the timed ones', positiveInteger, 5)
    .option('--steps <count>', 'timed steps', positiveInteger, 20)
    .option(
      '--launch-gaps',
      'also the share of a step between kernels (GPU): plain, as a graph, by operation',
    )
    .option('--memory-cap <bytes>', 'most bytes that the plan may have, e.g. 24GiB', byteCount)
    .option('--largest', 'the largest batch that the cap allows, instead of --batch')
    .option('--plan-only', 'what would run, without running it')
    .addHelpText('after', help)
    .action((flags: CellFlags) => cellBench(flags, terminal));
}

async function cellBench(flags: CellFlags, terminal: Terminal): Promise<void> {
  const result = await runCell(flags);
  terminal.object({ type: 'bench-cell', ...result });
  const { provider, fits, batch, plannedBytes, msPerStep, launchGaps } = result;
  const size = `${batch} sequences, ${formatBytes(plannedBytes)} planned`;
  const time = msPerStep === undefined ? '' : `, ${quantiles(msPerStep).p50.toFixed(2)} ms a step`;
  terminal.line(`${provider}: ${size}${fits ? time : ', which does not fit'}`);
  if (launchGaps === undefined) return;
  const { plainMs, recordedMs, opsMs, share } = launchGaps;
  terminal.line(
    `  launch gaps ${(100 * share).toFixed(1)} %: plain ${plainMs.toFixed(2)} ms, as a graph ${recordedMs.toFixed(2)} ms, operations ${opsMs.toFixed(2)} ms`,
  );
}

async function runCell(flags: CellFlags): Promise<CellResult> {
  const {
    device: word,
    threads,
    blas,
    graphs,
    warmup,
    steps,
    memoryCap = Infinity,
    largest,
    planOnly,
  } = flags;
  const request = requestOf(flags);
  const device = benchDevice(word, threads);
  const asked = compileOptions(request, device.target);
  const found = largest ? largestBatch(asked, memoryCap) : undefined;
  const batch = found?.batchSize ?? (largest ? 1 : flags.batch);
  const plan = compile({ ...asked, batchSize: batch, entries: ['initialize', 'train'] });
  const provider = describeRequest(request);
  const common = { provider, batch, plannedBytes: plan.peakBytes };
  if (plan.peakBytes > memoryCap) return { ...common, fits: false };
  if (planOnly) return { ...common, fits: true };
  const options = {
    plan,
    model: llama(flags.model),
    method: asked.method,
    sequenceLength: flags.sequence,
    numTokens: batch * flags.sequence,
    device: device.word,
    threads,
    blas,
    graphs,
    warmupSteps: warmup,
    steps,
  };
  const times = await timeSteps(options);
  const launchGaps =
    flags.launchGaps && device.gpu !== undefined ? await measureLaunchGaps(options) : undefined;
  return { ...common, fits: true, ...times, launchGaps };
}
