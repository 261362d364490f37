import { compactError } from '../errors.js';
import { withAccounting } from './accounting.js';
import { placeBlocks } from './arena.js';
import { assemblePlan, type LaidOutEntry } from './assemble-plan.js';
import { buildEntries } from './entries.js';
import { fuse } from './fuse.js';
import { lifetimes } from './lifetimes.js';
import type { CompileOptions } from './options.js';
import { order } from './order.js';
import type { Plan } from './plan.js';
import { type Program, withoutDeadNodes } from './program.js';
import { recompute } from './recompute.js';
import { type WorkspaceBytes, workspaceBytesOn } from './workspaces.js';

/**
 * Turns a model and a method into a plan: every kernel call of a training run over fixed offsets. The plan says what
 * will be allocated, to the byte, on any machine.
 *
 * Equal calls were merged when the graph was built (layers that project the same input share the result).
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_OP_UNSUPPORTED
 * @example
 * const plan = compile({ model: llama('llama-60m'), method: dense(), target: cpuTarget(), batchSize: 4, sequenceLength: 256, dtype: 'f32' });
 * plan.peakBytes;
 */
export function compile(options: CompileOptions): Plan {
  const settings = withAccounting(checked(options));
  const workspaceBytes = workspaceBytesOn(settings.target);
  const entries = buildEntries(settings) // forward, differentiate, apply method
    .map(withoutDeadNodes)
    .map((program) => recompute(program, settings.recompute ?? 'none', settings.method))
    .map(fuse)
    .map((program) => smallestOrder(program, workspaceBytes, settings.target.preparedOps))
    .map((entry) => ({ ...entry, arena: placeBlocks(blocksOf(entry), entry.program.nodes.length) }));
  return assemblePlan(entries, settings.target.device);
}

type OrderedEntry = Omit<LaidOutEntry, 'arena'>;

const blocksOf = ({ lifetimes: { storages, workspaces } }: OrderedEntry) => [...storages, ...workspaces];

/** Of the two places for weight gradients, the one whose peak is lower. */
function smallestOrder(
  program: Program,
  workspaceBytes: WorkspaceBytes,
  preparedOps?: ReadonlySet<string>,
): OrderedEntry {
  const [early, late] = (['early', 'late'] as const).map((place) => {
    const ordered = order(program, place);
    return { program: ordered, lifetimes: lifetimes(ordered, workspaceBytes, preparedOps) };
  }) as [OrderedEntry, OrderedEntry];
  return late.lifetimes.lowerBoundBytes < early.lifetimes.lowerBoundBytes ? late : early;
}

function checked(options: CompileOptions): CompileOptions {
  const { batchSize, sequenceLength, evaluateBatchSize = batchSize } = options;
  for (const [name, value] of Object.entries({ batchSize, sequenceLength, evaluateBatchSize })) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is out of range`, {
      op: name,
      expected: 'a whole number above zero',
      received: String(value),
    });
  }
  return options;
}
