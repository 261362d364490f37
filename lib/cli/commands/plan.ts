import type { Command } from 'commander';
import type { Target } from '../../compile/index.js';
import { compactError, type CompactError } from '../../errors.js';
import { largestBatch, remedies, type HeldBytes, type Remedy } from '../../memory/index.js';
import { llamaPresets } from '../../models/index.js';
import { deviceTarget } from '../../runtime/index.js';
import { printError } from '../error-message.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { formatBytes, formatCount, formatPercent } from '../format.js';
import { byteCount, choice, positiveInteger, ratio } from '../options.js';
import {
  alternatives,
  compileOptions,
  describeRequest,
  planRequest,
  type PlannedRequest,
  type PlanRequest,
} from '../plan-request.js';
import { renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';

const help = `
Batch is one micro-batch: sequences whose activations exist at the same time.
Accounting: 'ours' is what this program allocates. 'published' counts as the CompAct paper does: one projection per
weight, bf16 gradients and moments, gradients alive across micro-batches, and all that plain autograd keeps.

Examples:
  compact-train plan --model llama-350m --batch 128 --sequence 256 --dtype bf16
  compact-train plan --model llama-350m --batch 128 --sequence 256 --dtype bf16 --method compact --rank-ratio 1/4 --store lazy
  compact-train plan --model llama-7b --batch 4 --sequence 2048 --dtype bf16 --memory 80GiB    exit code 3 if too large`;

interface PlanFlags extends Omit<PlanRequest, 'model'> {
  readonly model?: string;
  readonly memory?: number;
  readonly deviceMemory?: number;
  readonly device: string;
}

export function registerPlan(program: Command, terminal: Terminal, finish: (code: ExitCode) => void): void {
  program
    .command('plan')
    .summary('peak memory of a training run, before it starts')
    .description('Plans one training step to the byte: the peak, what it is for, and what fits on a device.')
    .option('--model <preset>', `one of ${Object.keys(llamaPresets).join(', ')}`)
    .option('--batch <sequences>', 'sequences of a micro-batch', positiveInteger, 16)
    .option('--sequence <tokens>', 'tokens of a sequence', positiveInteger, 256)
    .addOption(choice('--dtype <type>', 'of weights and activations', ['f32', 'bf16']).default('bf16'))
    .addOption(choice('--state-dtype <type>', "of the optimizer's moments", ['f32', 'bf16']).default('f32'))
    .addOption(
      choice('--method <method>', 'how weight gradients are made', ['dense', 'compact']).default('dense'),
    )
    .option(
      '--rank-ratio <ratio>',
      "rank as a share of a layer's input width, e.g. 0.25 or 1/4 (compact)",
      ratio,
    )
    .option('--rank <count>', 'rank as a count, instead of the ratio (compact)', positiveInteger)
    .addOption(
      choice('--store <store>', 'keep compressed inputs, or rebuild them in backward (compact)', [
        'stored',
        'lazy',
      ]),
    )
    .addOption(
      choice('--sharing <sharing>', 'one projection per layer input or per weight (compact)', [
        'input',
        'weight',
      ]),
    )
    .addOption(
      choice('--recompute <policy>', 'what backward rebuilds', ['none', 'cheap', 'layer']).default('none'),
    )
    .option('--accumulate', 'gradients live across micro-batches')
    .addOption(
      choice('--accounting <rules>', 'whose bytes are counted', ['ours', 'published']).default('ours'),
    )
    .option('--device <device>', 'whose kernels need their workspace: cpu, cuda or auto', 'cpu')
    .option('--memory <bytes>', 'memory of the device, e.g. 24GiB: says what fits', byteCount)
    .option('--device-memory <bytes>', 'the same', byteCount)
    .addHelpText('after', help)
    .action((flags: PlanFlags) => {
      const { model, memory, deviceMemory = memory, device, ...request } = flags;
      if (model === undefined)
        throw compactError('ERR_COMPACT_ARGUMENT', 'there is no model to plan', {
          expected: `--model with one of ${Object.keys(llamaPresets).join(', ')}`,
          remedy: 'Try --model llama-350m',
        });
      finish(plan({ ...request, model }, deviceTarget(device), deviceMemory, terminal));
    });
}

function plan(
  request: PlanRequest,
  target: Target,
  memoryBytes: number | undefined,
  terminal: Terminal,
): ExitCode {
  if (request.method === 'dense') {
    const { rank, rankRatio, store, sharing } = request;
    const unused = Object.entries({ rank, 'rank-ratio': rankRatio, store, sharing }).filter(
      ([, value]) => value !== undefined,
    );
    if (unused.length > 0)
      terminal.warn(`dense has no use for ${unused.map(([flag]) => `--${flag}`).join(', ')}`);
  }
  const planned = planRequest(request, target);
  const { peakBytes, persistentBytes, arenaBytes, arenaLowerBoundBytes, byKind, atPeak } = planned.report;
  const { planSeconds } = planned;
  const result = {
    peakBytes,
    persistentBytes,
    arenaBytes,
    arenaLowerBoundBytes,
    byKind,
    atPeak,
    planSeconds,
  };
  if (!terminal.json) printPlan(terminal, request, planned);
  if (memoryBytes === undefined) {
    terminal.object(result);
    return exitCodes.done;
  }
  const largestBatches = alternatives(request).map((alternative) => {
    const found = largestBatch(compileOptions(alternative, target), memoryBytes);
    return {
      variant: describeRequest(alternative),
      batch: found?.batchSize ?? 0,
      peakBytes: found?.peakBytes,
    };
  });
  printLargest(terminal, request, memoryBytes, largestBatches);
  const fits = peakBytes <= memoryBytes;
  if (fits) {
    terminal.object({ ...result, memoryBytes, fits, largestBatches });
    return exitCodes.done;
  }
  const error = doesNotFit(
    request,
    peakBytes,
    memoryBytes,
    remedies(compileOptions(request, target), memoryBytes),
  );
  terminal.object({ ...result, memoryBytes, fits, largestBatches, ...error.details });
  if (!terminal.json) printError(terminal, error);
  return exitCodes.doesNotFit;
}

function doesNotFit(
  request: PlanRequest,
  peakBytes: number,
  memoryBytes: number,
  found: readonly Remedy[],
): CompactError {
  const changes = found.map(({ change, ...remedy }) => ({ change: flagsOf(change), ...remedy }));
  const lines = changes.map(
    ({ change, peakBytes: bytes, fits }) =>
      `${change}  needs ${formatBytes(bytes)}${fits ? '' : ', still too much'}`,
  );
  return compactError(
    'ERR_COMPACT_DOES_NOT_FIT',
    `${request.model}, ${describeRequest(request)}, does not fit at ${request.batch} x ${request.sequence} tokens`,
    {
      expected: `at most ${formatBytes(memoryBytes)}`,
      received: `a peak of ${formatBytes(peakBytes)}`,
      remedy: lines.join('\n'),
      details: { remedies: changes },
    },
  );
}

/** A change in the words of recipes as flags of this command. */
function flagsOf(change: Remedy['change']): string {
  const names: Readonly<Record<string, string>> = { batchSize: 'batch', rankRatio: 'rank-ratio' };
  const flags = Object.entries(change).map(([key, value]) =>
    key === 'gradientAccumulationSteps' ? '--accumulate' : `--${names[key] ?? key} ${value}`,
  );
  return flags.join(' ');
}

function printPlan(terminal: Terminal, request: PlanRequest, { report, planSeconds }: PlannedRequest): void {
  const tokens = (request.batch * request.sequence).toLocaleString('en');
  terminal.line(
    `${terminal.style('bold', request.model)}, ${describeRequest(request)}: ${request.batch} x ${request.sequence} = ` +
      `${tokens} tokens, ${request.dtype}, ${request.accounting} accounting`,
  );
  terminal.line();
  terminal.line(
    `  peak  ${terminal.style('bold', formatBytes(report.peakBytes))}  (${report.peakBytes.toLocaleString('en')} bytes)`,
  );
  terminal.line(
    `  persistent ${formatBytes(report.persistentBytes)}, arena ${formatBytes(report.arenaBytes)} ` +
      `(${formatPercent(report.arenaBytes / report.arenaLowerBoundBytes - 1)} over its lower bound), ` +
      `planned in ${planSeconds.toFixed(2)} s`,
  );
  terminal.line();
  const kinds = Object.entries(report.byKind)
    .filter(([, bytes]) => bytes > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([kind, bytes]) => [kind, formatBytes(bytes), formatPercent(bytes / report.peakBytes)]);
  terminal.line(
    renderTable(
      [{ title: 'at the peak' }, { title: 'bytes', align: 'right' }, { title: 'share', align: 'right' }],
      kinds,
    ),
  );
  terminal.line();
  const largest = sumOverLayers(report.atPeak)
    .slice(0, 8)
    .map(({ name, kind, bytes, count }) => [name, kind, String(count), formatBytes(bytes)]);
  const columns = ['largest tensors then', 'kind', 'count', 'bytes'];
  terminal.line(
    renderTable(
      columns.map((title, i) => ({ title, align: i < 2 ? 'left' : 'right' })),
      largest,
    ),
  );
}

/** Tensors that differ by the number of their layer only, together; largest first. */
function sumOverLayers(
  held: readonly HeldBytes[],
): { name: string; kind: string; bytes: number; count: number }[] {
  const sums = new Map<string, { name: string; kind: string; bytes: number; count: number }>();
  for (const { name: full, kind, bytes } of held) {
    const name = full.replace(/\.\d+\./, '.*.');
    const sum = sums.get(name) ?? { name, kind, bytes: 0, count: 0 };
    sums.set(name, { ...sum, bytes: sum.bytes + bytes, count: sum.count + 1 });
  }
  return [...sums.values()].toSorted((a, b) => b.bytes - a.bytes);
}

function printLargest(
  terminal: Terminal,
  request: PlanRequest,
  memoryBytes: number,
  largest: readonly {
    readonly variant: string;
    readonly batch: number;
    readonly peakBytes: number | undefined;
  }[],
): void {
  terminal.line();
  const rows = largest.map(({ variant, batch, peakBytes }) => [
    variant,
    batch === 0 ? 'none' : formatCount(batch),
    peakBytes === undefined ? '' : formatBytes(peakBytes),
  ]);
  const title = `what fits in ${formatBytes(memoryBytes)} at ${request.sequence} tokens a sequence`;
  terminal.line(
    renderTable(
      [{ title }, { title: 'largest batch', align: 'right' }, { title: 'peak', align: 'right' }],
      rows,
    ),
  );
  terminal.line();
}
