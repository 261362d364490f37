import { type Model, type Node, type Program, loopScalars } from '../graph/index.js';
import { compactError } from '../errors.js';
import { checkOptions, checkValue, wholeNumber, type Checked } from '../options.js';
import { withAccounting } from './accounting.js';
import { placeBlocks } from './arena.js';
import { choose } from './choose.js';
import { assemblePlan, type LaidOutEntry } from './assemble-plan.js';
import { withoutDeadNodes } from './dead-nodes.js';
import { buildEntries } from './entries.js';
import { fuse } from './fuse.js';
import { group } from './groups.js';
import { withLayerRates } from './layer-rates.js';
import { lifetimes } from './lifetimes.js';
import { compileTable, maxTokens, type CompileOptions, type Target } from './options.js';
import { order, type WeightGradientPlace } from './order.js';
import type { Plan } from './plan.js';
import { realise } from './realise.js';
import { type WorkspaceBytes, workspaceBytesOn } from './workspaces.js';

/** The arena with groups is at most this much of the arena without. */
const groupedShare = 1.01;

/**
 * Turns a model and a method into a plan: every kernel call of a training run over fixed offsets. The plan says what
 * will be allocated, to the byte, on any machine.
 *
 * Equal calls were merged when the graph was built (layers that project the same input share the result).
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_OP_UNSUPPORTED,
 *   ERR_COMPACT_RANK, ERR_COMPACT_SHAPE
 * @example
 * const plan = compile({ model: llama('llama-60m'), method: dense(), target: cpuTarget(), batchSize: 4, sequenceLength: 256, dtype: 'f32' });
 * plan.peakBytes;
 */
export function compile(options: CompileOptions): Plan {
  const settings = withAccounting(checkCompileOptions(options));
  const workspaceBytes = workspaceBytesOn(settings.target);
  const places =
    settings.method.updatesInBackward === true ? (['late'] as const) : (['early', 'late'] as const);
  const ordered = buildEntries(settings) // forward, differentiate, apply method
    .map((program) => (settings.layerRates ? withLayerRates(program) : program))
    .map(withoutDeadNodes)
    .map((program) => realise(program, choose(program, settings.recompute ?? 'none', settings.method.saving)))
    .map(fuse)
    .map((program) => smallestOrder(program, places, workspaceBytes, settings.target.preparedOps));
  const entries = withGroups(ordered, settings.target, workspaceBytes) //
    .map((entry) => ({ ...entry, arena: placeBlocks(blocksOf(entry), entry.program.nodes.length) }));
  const counted = Object.values(settings.method.clocks ?? {}).flatMap(({ scalars }) => scalars);
  return assemblePlan(entries, settings.target.device, [...loopScalars, ...counted]);
}

type OrderedEntry = Omit<LaidOutEntry, 'arena'>;

const blocksOf = ({ lifetimes: { storages, workspaces } }: OrderedEntry) => [...storages, ...workspaces];

/** Of some places for weight gradients, the one whose peak is lowest. */
function smallestOrder(
  program: Program,
  places: readonly WeightGradientPlace[],
  workspaceBytes: WorkspaceBytes,
  preparedOps?: ReadonlySet<string>,
): OrderedEntry {
  const candidates = places.map((place) => {
    const ordered = order(program, place);
    return { program: ordered, lifetimes: lifetimes(ordered, workspaceBytes, preparedOps) };
  });
  return candidates.reduce((best, other) =>
    other.lifetimes.lowerBoundBytes < best.lifetimes.lowerBoundBytes ? other : best,
  );
}

/** Groups what the target can run as one; where the arena would grow by it, all but updates, or nothing. */
function withGroups(
  entries: readonly OrderedEntry[],
  { groupedOps = new Set(), preparedOps }: Target,
  workspaceBytes: WorkspaceBytes,
): readonly OrderedEntry[] {
  if (groupedOps.size === 0) return entries;
  const isGrouped = (node: Node) => groupedOps.has(node.op);
  const variants = [isGrouped, (node: Node) => isGrouped(node) && node.phase !== 'update'];
  const allowedBytes = groupedShare * Math.max(0, ...entries.map((entry) => entry.lifetimes.lowerBoundBytes));
  return entries.map((entry) => {
    for (const variant of variants) {
      const program = group(entry.program, variant);
      const grouped = { program, lifetimes: lifetimes(program, workspaceBytes, preparedOps) };
      if (grouped.lifetimes.lowerBoundBytes <= allowedBytes) return grouped;
    }
    return entry;
  });
}

/** Sequences of one example stay together. */
export function checkExamples({ name, sequencesOfExample = 1 }: Model, option: string, size: number): void {
  if (size % sequencesOfExample === 0) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${option} parts the sequences of an example of ${name}`, {
    op: option,
    expected: `a multiple of ${sequencesOfExample} sequences`,
    received: `${size}`,
  });
}

/**
 * Compile options whole, with their defaults.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function checkCompileOptions(options: CompileOptions): Checked<typeof compileTable> {
  const settings = checkOptions(options, compileTable, { what: 'compile' });
  const { model, isPacked, sequenceLength, batchSize } = settings;
  const { evaluateBatchSize = batchSize, generateBatchSize = 1 } = settings;
  if (isPacked && model.packedFields === undefined)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${model.name} reads no packed documents`, {
      op: 'isPacked',
      expected: 'a model that declares `packedFields`',
      received: 'true',
      remedy: 'Give every document a sequence of its own',
    });
  const largest = Math.floor(maxTokens / sequenceLength);
  checkValue(batchSize, wholeNumber(1, largest), 'batchSize');
  checkValue(evaluateBatchSize, wholeNumber(1, largest), 'evaluateBatchSize');
  for (const [name, size] of Object.entries({ batchSize, evaluateBatchSize }))
    checkExamples(model, name, size);
  checkValue(generateBatchSize, wholeNumber(1, largest), 'generateBatchSize');
  return settings;
}
