import { Option, type Command } from 'commander';
import type { Plan } from '../../compile/index.js';
import { compile } from '../../compile/index.js';
import { compact, dense, type Method } from '../../methods/index.js';
import { llama, llamaPresets, type LlamaPreset } from '../../models/index.js';
import {
  type BlasChoice,
  blasChoices,
  environment,
  type GraphChoice,
  graphChoices,
} from '../../runtime/index.js';
import { positiveInteger } from '../options.js';
import { renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { benchDevice, deviceOption, type BenchDevice } from './device.js';
import { deviceLimits, type DeviceLimits } from './device-limits.js';
import { appendToLedger, type LedgerRow } from './ledger.js';
import { opProfile, type StepProfile } from './op-profile.js';
import { printProfile } from './print-profile.js';
import { quantiles } from './quantiles.js';
import { StatusLine } from './status-line.js';
import { timeSteps, timeStepsInTurns } from './step-runner.js';
import { timeTorchPeer, type PeerResult } from './torch-peer.js';

const help = `
Each way of training and dense training take turns step by step, on the same threads: "of dense" is the median of the
ratios of neighbouring steps, whatever else the machine was doing then. PyTorch runs in the middle; "of torch" is against
its fastest variant (whole or chunked logits, eager or compiled). It runs on the CPU: on a GPU it is left out.

--profile: time of each operation, floating-point operations and bytes (each operand once), and the share of what the
device's limits allow: of a CPU those are measured in the same run, of a GPU they come from a table.

Examples:
  compact-train bench step-time
  compact-train bench step-time --dtype bf16 --profile        where the time of a step goes
  compact-train bench step-time --device cuda --dtype bf16 --batch 16 --profile
  compact-train bench step-time --ledger bench/results/step-time.jsonl`;

interface StepTimeFlags {
  readonly model: LlamaPreset;
  readonly batch: number;
  readonly sequence: number;
  readonly device: string;
  readonly blas: BlasChoice;
  readonly graphs: GraphChoice;
  readonly threads?: number;
  readonly dtype?: 'f32' | 'bf16';
  readonly rounds: number;
  readonly compile?: boolean;
  readonly peer: boolean;
  readonly profile?: boolean;
  readonly ledger?: string;
}

/** One way of training at one dtype, and its times. */
interface StepTimeRow {
  readonly provider: string;
  readonly dtype: string;
  readonly p20: number; // milliseconds a step
  readonly p50: number;
  readonly p80: number;
  readonly repeats: number;
  readonly ofDense?: number;
  readonly ofTorch?: number;
}

export function registerStepTimeBench(bench: Command, terminal: Terminal): void {
  bench
    .command('step-time')
    .summary('time of one training step, beside PyTorch')
    .description(
      'Times whole training steps: dense and compact here, and the same model in PyTorch if it is installed.',
    )
    .addOption(
      new Option('--model <preset>', 'a model preset')
        .choices(Object.keys(llamaPresets))
        .default('llama-60m'),
    )
    .option('--batch <sequences>', 'sequences of a step', positiveInteger, 4)
    .option('--sequence <tokens>', 'tokens of a sequence', positiveInteger, 256)
    .addOption(deviceOption())
    .addOption(
      new Option('--blas <choice>', 'products on a GPU: own kernels or cuBLASLt')
        .choices(blasChoices)
        .default('own'),
    )
    .addOption(
      new Option('--graphs <choice>', 'runs as graphs on a GPU').choices(graphChoices).default('auto'),
    )
    .option('--threads <count>', 'CPU threads (default: all physical cores)', positiveInteger)
    .addOption(new Option('--dtype <type>', 'one dtype (default: both)').choices(['f32', 'bf16']))
    .option(
      '--rounds <count>',
      'rounds of four steps of each variant beside dense training',
      positiveInteger,
      5,
    )
    .option('--compile', 'also torch.compile (takes minutes)')
    .option('--no-peer', 'without PyTorch')
    .option('--profile', 'time by operation')
    .option('--ledger <file>', 'append the figures as JSON lines')
    .addHelpText('after', help)
    .action((flags: StepTimeFlags) => stepTimeBench(flags, terminal));
}

const variants: readonly (readonly [string, Method])[] = [
  ['dense', dense()],
  ['compact n/2, stored', compact({ rankRatio: 1 / 2 })],
  ['compact n/4, stored', compact({ rankRatio: 1 / 4 })],
  ['compact n/4, lazy', compact({ rankRatio: 1 / 4, store: 'lazy' })],
  ['compact n/8, stored', compact({ rankRatio: 1 / 8 })],
];

async function stepTimeBench(flags: StepTimeFlags, terminal: Terminal): Promise<void> {
  const status = new StatusLine(terminal);
  const threads = flags.threads ?? environment().cpu.threads;
  const dtypes = flags.dtype === undefined ? (['f32', 'bf16'] as const) : [flags.dtype];
  const rows: StepTimeRow[] = [];
  const profiles: Record<string, StepProfile> = {};
  const device = benchDevice(flags.device, threads);
  let torch: PeerResult = {
    skipped: flags.peer ? 'it runs on the CPU' : 'not asked for (--no-peer)',
  };
  if (flags.profile) status.show('measuring the limits of the device');
  const limits = flags.profile ? await deviceLimits(device, threads) : undefined;
  for (const dtype of dtypes) {
    const cases = variants.map(
      ([name, method]) => new TimedCase(name, method, dtype, flags, device, threads),
    );
    const half = Math.ceil(flags.rounds / 2);
    const turn = async (round: number): Promise<void> => {
      const others = cases.slice(1);
      for (const timed of round % 2 === 0 ? others : others.toReversed()) {
        status.show(`timing ${dtype}`, `${timed.name}, round ${round + 1}/${flags.rounds}`);
        await timed.runBeside(cases[0]!);
      }
    };
    for (let round = 0; round < half; round++) await turn(round);
    if (flags.peer && device.kind === 'cpu') {
      status.show(`timing ${dtype} in PyTorch`);
      const { model, batch, sequence, compile: isCompiled = false } = flags;
      const steps = 3 * flags.rounds;
      torch = await timeTorchPeer({ model, batch, sequence, threads, dtype, compile: isCompiled, steps });
    }
    for (let round = half; round < flags.rounds; round++) await turn(round);
    rows.push(...compared(cases, torch, dtype));
    if (flags.profile)
      for (const timed of cases) {
        status.show(`profiling ${dtype}`, timed.name);
        profiles[`${timed.name}, ${dtype}`] = await timed.profile(limits);
      }
  }
  status.clear();
  const shape = `${flags.model} ${flags.batch}x${flags.sequence}`;
  const peerSkipped = torch.skipped;
  if (flags.ledger !== undefined)
    appendToLedger(
      flags.ledger,
      rows.map((row) => ledgerRow(row, shape)),
      device,
    );
  terminal.object({
    type: 'bench-step-time',
    shape,
    device: device.gpu?.name ?? 'cpu',
    threads,
    rows,
    peerSkipped,
    limits,
    profiles: flags.profile ? profiles : undefined,
  });
  printRows(terminal, `${shape}, ${device.gpu?.name ?? `${threads} threads`}`, rows);
  if (peerSkipped !== undefined) terminal.line(`\nPyTorch skipped: ${peerSkipped}.`);
  for (const [title, profile] of Object.entries(profiles)) printProfile(terminal, title, profile, limits);
}

/** One variant with its plan and what was measured of it. */
class TimedCase {
  readonly name: string;
  readonly msPerStep: number[] = [];
  /** Times of single steps over those of dense training beside it. */
  readonly ofDense: number[] = [];
  readonly #plan: Plan;
  readonly #options: Omit<Parameters<typeof timeSteps>[0], 'plan' | 'warmupSteps' | 'steps'>;

  constructor(
    name: string,
    method: Method,
    dtype: 'f32' | 'bf16',
    flags: StepTimeFlags,
    device: BenchDevice,
    threads: number,
  ) {
    const model = llama(flags.model);
    const sequenceLength = flags.sequence;
    this.name = name;
    this.#plan = compile({
      model,
      method,
      target: device.target,
      batchSize: flags.batch,
      sequenceLength,
      dtype,
      entries: ['initialize', 'train'],
    });
    const numTokens = flags.batch * sequenceLength;
    const { blas, graphs } = flags;
    this.#options = { model, sequenceLength, numTokens, device: device.word, threads, blas, graphs };
  }

  /** Steps of dense training and of this variant in turns, on engines that live for this one round. */
  async runBeside(dense: TimedCase): Promise<void> {
    const pairs = await timeStepsInTurns(dense.#engineOptions(), this.#engineOptions(), 4);
    for (const [denseMs, ownMs] of pairs) {
      dense.msPerStep.push(denseMs);
      this.msPerStep.push(ownMs);
      this.ofDense.push(ownMs / denseMs);
    }
  }

  #engineOptions() {
    return { ...this.#options, plan: this.#plan };
  }

  async profile(limits: DeviceLimits | undefined): Promise<StepProfile> {
    const timed = await timeSteps({
      ...this.#engineOptions(),
      warmupSteps: 2,
      steps: 3,
      profile: true,
    });
    return opProfile(this.#plan, timed, limits);
  }
}

function compared(cases: readonly TimedCase[], torch: PeerResult, dtype: string): StepTimeRow[] {
  const peers =
    torch.skipped === undefined
      ? torch.rows
          .map(({ mode, loss, p20, p50, p80, repeats }) => ({
            provider: `torch ${torch.torch} ${mode}, ${loss} logits`, dtype, p20, p50, p80, repeats,
          })) // prettier-ignore
      : [];
  const fastest = Math.min(...peers.map((row) => row.p50));
  const own = cases.map((timed) => {
    const times = quantiles(timed.msPerStep);
    return {
      provider: timed.name,
      dtype,
      ...times,
      repeats: timed.msPerStep.length,
      ofDense: timed === cases[0] ? 1 : quantiles(timed.ofDense).p50,
      ofTorch: peers.length === 0 ? undefined : times.p50 / fastest,
    };
  });
  return [...own, ...peers];
}

function ledgerRow(row: StepTimeRow, shape: string): LedgerRow {
  const { provider, dtype, p20, p50, p80, repeats, ofDense } = row;
  return {
    case: 'step-time',
    provider,
    metric: 'step',
    unit: 'ms',
    shape,
    dtype,
    p20,
    p50,
    p80,
    repeats,
    ofDense,
  };
}

function printRows(terminal: Terminal, shape: string, rows: readonly StepTimeRow[]): void {
  const cells = rows.map((row) => [
    row.provider,
    row.dtype,
    row.p50.toFixed(1),
    `${row.p20.toFixed(1)} - ${row.p80.toFixed(1)}`,
    row.ofDense === undefined ? '' : row.ofDense.toFixed(3),
    row.ofTorch === undefined ? '' : row.ofTorch.toFixed(3),
  ]);
  const right = { align: 'right' } as const;
  terminal.line(terminal.style('bold', `Milliseconds of a step: ${shape}`));
  terminal.line(
    renderTable(
      [
        { title: '' },
        { title: 'dtype' },
        { title: 'median', ...right },
        { title: 'p20 - p80', ...right },
        { title: 'of dense', ...right },
        { title: 'of torch', ...right },
      ],
      cells,
    ),
  );
}
