import { Option, type Command } from 'commander';
import type { RecomputePolicy } from '../../../compile/index.js';
import { compact, dense, type Method } from '../../../methods/index.js';
import {
  type BlasChoice,
  blasChoices,
  environment,
  type GraphChoice,
  graphChoices,
} from '../../../runtime/index.js';
import { describeMethod } from '../../describe-method.js';
import { methodOfFlags } from '../../method-flags.js';
import { positiveInteger } from '../../options.js';
import { addRecipeFlags, type RecipeFlags } from '../../recipe-flags.js';
import { renderTable } from '../../table.js';
import type { Terminal } from '../../terminal.js';
import { benchDevice, deviceOption, type BenchDevice } from '../device.js';
import { deviceLimits } from './device-limits.js';
import { appendToLedger, type LedgerRow } from '../ledger.js';
import type { StepProfile } from './op-profile.js';
import { printProfile } from './print-profile.js';
import { quantiles } from '../quantiles.js';
import { OwnCase, type Timing, TorchCase } from './step-cases.js';
import { StatusLine } from '../status-line.js';
import { findTorch, type TorchVariant } from './torch-peer.js';

const help = `
Each way of training and dense training take turns step by step, on as many threads: "of dense" is the median of the
ratios of neighbouring steps, whatever else the machine was doing then. PyTorch takes its turns, too; "of torch" is "of
dense" over that of its fastest variant (whole or chunked logits, eager or compiled). It runs on the CPU: on a GPU it is
left out.

With --method, --optimizer, --weights or --set that method stands beside dense training instead of CompAct's variants.

--profile: time of each operation, floating-point operations and bytes (each operand once), and the share of what the
device's limits allow: of a CPU those are measured in the same run, of a GPU they come from a table.

Examples:
  compact-train bench step-time
  compact-train bench step-time --method galore --no-peer     one method, plain and with layer checkpointing
  compact-train bench step-time --dtype bf16 --profile        where the time of a step goes
  compact-train bench step-time --device cuda --dtype bf16 --batch 16 --profile
  compact-train bench step-time --ledger bench/results/step-time.jsonl`;

interface StepTimeFlags extends RecipeFlags {
  readonly model: string;
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
  readonly ofDense: number;
  readonly ofTorch?: number;
}

export function registerStepTimeBench(bench: Command, terminal: Terminal): void {
  const command = bench
    .command('step-time')
    .summary('time of one training step, beside PyTorch')
    .description(
      'Times whole training steps: dense and compact here, and the same model in PyTorch if it is installed.',
    )
    .option('--model <model>', 'a preset, or the path of a config.json or of its folder', 'llama-60m')
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
    .addHelpText('after', help);
  addRecipeFlags(command, 'method').action((flags: StepTimeFlags) => stepTimeBench(flags, terminal));
}

const lazy = compact({ rankRatio: 1 / 4, store: 'lazy' });

type Variant = readonly [string, Method, RecomputePolicy];

const baselines: readonly Variant[] = [
  ['dense', dense(), 'none'],
  ['dense, selective recompute', dense(), 'cheap'],
  ['dense, layer checkpointing', dense(), 'layer'],
];

/** Each saves memory in its own way; what it costs in time stands beside it. */
const compactVariants: readonly Variant[] = [
  ['compact n/2, stored', compact({ rankRatio: 1 / 2 }), 'none'],
  ['compact n/4, stored', compact({ rankRatio: 1 / 4 }), 'none'],
  ['compact n/4, lazy', lazy, 'none'],
  ['compact n/4, lazy, layer checkpointing', lazy, 'layer'],
  ['compact n/8, stored', compact({ rankRatio: 1 / 8 }), 'none'],
];

/** Both baselines, and the method that was asked for, or what compact can do. */
function variantsOf(flags: StepTimeFlags): readonly Variant[] {
  const asked = methodOfFlags(flags);
  if (asked === undefined) return [...baselines, ...compactVariants];
  return [
    ...baselines,
    ...(['none', 'layer'] as const).map((policy): Variant => [describeMethod(asked, policy), asked, policy]),
  ];
}

const torchVariants: readonly TorchVariant[] = [
  { mode: 'eager', loss: 'full' },
  { mode: 'eager', loss: 'chunked' },
  { mode: 'compile', loss: 'full' },
  { mode: 'compile', loss: 'chunked' },
];

async function stepTimeBench(flags: StepTimeFlags, terminal: Terminal): Promise<void> {
  const status = new StatusLine(terminal);
  const threads = flags.threads ?? environment().cpu.threads;
  const dtypes = flags.dtype === undefined ? (['f32', 'bf16'] as const) : [flags.dtype];
  const rows: StepTimeRow[] = [];
  const profiles: Record<string, StepProfile> = {};
  const device = benchDevice(flags.device, threads);
  const torch = await torchOf(flags, device);
  let peerSkipped = 'missing' in torch ? torch.missing : undefined;
  if (flags.profile) status.show('measuring the limits of the device');
  const limits = flags.profile ? await deviceLimits(device, threads) : undefined;
  for (const dtype of dtypes) {
    const own = variantsOf(flags).map(
      ([name, method, recompute]) => new OwnCase(name, { method, recompute, dtype }, flags, device, threads),
    );
    const peers: TorchCase[] = [];
    if ('version' in torch)
      for (const variant of torchVariants) {
        if (variant.mode === 'compile' && !flags.compile) continue;
        status.show(`timing ${dtype}`, `starting PyTorch, ${variant.mode}, ${variant.loss} logits`);
        const options = { ...flags, threads, dtype };
        try {
          peers.push(await TorchCase.start(torch.version, variant, options));
        } catch (error) {
          peerSkipped ??= `the peer program failed: ${(error as Error).message}`;
        }
      }
    const timings = [...own, ...peers].map(({ timing }) => timing);
    try {
      for (let round = 0; round < flags.rounds; round++) {
        const others = timings.slice(1);
        for (const timing of round % 2 === 0 ? others : others.toReversed()) {
          status.show(`timing ${dtype}`, `${timing.provider}, round ${round + 1}/${flags.rounds}`);
          await timing.runBeside(timings[0]!);
        }
      }
    } finally {
      for (const peer of peers) await peer.close();
    }
    const fastest = Math.min(...peers.map(({ timing }) => timing.medianOfDense()));
    rows.push(...timings.map((timing) => rowOf(timing, dtype, peers.length === 0 ? undefined : fastest)));
    if (flags.profile)
      for (const timed of own) {
        status.show(`profiling ${dtype}`, timed.timing.provider);
        profiles[`${timed.timing.provider}, ${dtype}`] = await timed.profile(limits);
      }
  }
  status.clear();
  const shape = `${flags.model} ${flags.batch}x${flags.sequence}`;
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

function torchOf(flags: StepTimeFlags, device: BenchDevice): ReturnType<typeof findTorch> {
  if (flags.peer && device.kind === 'cpu') return findTorch();
  return Promise.resolve({ missing: flags.peer ? 'it runs on the CPU' : 'not asked for (--no-peer)' });
}

/** @param fastestTorch PyTorch's fastest variant, of dense */
function rowOf(timing: Timing, dtype: string, fastestTorch: number | undefined): StepTimeRow {
  const ofDense = timing.medianOfDense();
  return {
    provider: timing.provider,
    dtype,
    ...quantiles(timing.msPerStep),
    repeats: timing.msPerStep.length,
    ofDense,
    ofTorch: fastestTorch === undefined ? undefined : ofDense / fastestTorch,
  };
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
    row.ofDense.toFixed(3),
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
