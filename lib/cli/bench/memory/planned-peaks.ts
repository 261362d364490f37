import type { Accounting, RecomputePolicy, Target } from '../../../compile/index.js';
import { llama, type LlamaPreset } from '../../../models/index.js';
import { describeRequest, planRequest, type PlanRequest } from '../../plan-request.js';
import type { ListedMethod } from '../../method-list.js';
import { plannedThreads } from '../../planned-threads.js';
import { publishedResults, publishedSavingBytes } from './published-figures.js';
import type { PlannedModel, PlannedPeak, PlannedSaving, PlannedTable } from './report.js';

/** The micro-batch of the paper's pretraining runs: 32,768 tokens. */
const size = { batch: 128, sequence: 256, dtype: 'bf16' } as const;
const rankRatios = [1 / 2, 1 / 4, 1 / 8] as const;

const plannedModels: readonly LlamaPreset[] = [
  'llama-60m', 'llama-130m', 'llama-350m', 'llama-1b', 'llama-3b', 'llama-7b', 'llama-13b', 'llama-33b', 'llama-65b',
]; // prettier-ignore

/** One way of training a model, planned. */
interface PlannedVariant {
  readonly name: string;
  readonly request: PlanRequest;
}

/** The baselines first: shares of the peak are taken against them. */
function variants(model: string, accounting: Accounting): PlannedVariant[] {
  const base = { model, ...size, accounting };
  const variant = (method: PlanRequest['method'], recompute?: RecomputePolicy): PlannedVariant => {
    const request = { ...base, method, recompute };
    return { name: describeRequest(request), request };
  };
  const compact = rankRatios.map((rankRatio) => ({ name: 'compact', rankRatio }));
  const stored = compact.map((method) => variant({ ...method, store: 'stored' }));
  const dense = { name: 'dense' };
  if (accounting === 'published') return [variant(dense), ...stored];
  const lazy = compact.map((method) => ({ ...method, store: 'lazy' }));
  return [
    variant(dense),
    variant(dense, 'cheap'),
    variant(dense, 'layer'),
    ...stored,
    ...lazy.map((method) => variant(method)),
    variant(lazy[1]!, 'layer'),
  ];
}

/** Planned peaks of every model and method; `onModel` is told before each model. */
export function plannedTable(
  accounting: Accounting,
  target: Target,
  onModel: (model: string) => void = () => {},
  models = plannedModels,
): PlannedTable {
  return tableOf(
    accounting,
    target,
    models.map((model) => {
      onModel(model);
      return plannedModel(model, variants(model, accounting), target);
    }),
  );
}

/** Planned peaks of the methods of a list beside plain dense training, and dense training with selective recompute. */
export function plannedMethods(
  model: string,
  methods: readonly ListedMethod[],
  target: Target,
  onMethod: (word: string) => void = () => {},
): PlannedTable {
  const baselines = variants(model, 'ours').slice(0, 2);
  const { request } = baselines[0]!;
  const others = methods
    .filter(({ word }) => word !== baselines[0]!.name)
    .map(({ word, description }) => ({ name: word, request: { ...request, method: description } }));
  return tableOf('ours', target, [plannedModel(model, [...baselines, ...others], target, onMethod)]);
}

const tableOf = (accounting: Accounting, target: Target, models: PlannedModel[]): PlannedTable => ({
  accounting,
  batchSize: size.batch,
  sequenceLength: size.sequence,
  dtype: size.dtype,
  threads: target.device === 'cpu' ? plannedThreads : undefined,
  models,
});

function plannedModel(
  model: string,
  ways: readonly PlannedVariant[],
  target: Target,
  onVariant: (name: string) => void = () => {},
): PlannedModel {
  const planned = ways.map(({ name, request }) => {
    onVariant(name);
    return { name, ...planRequest(request, target) };
  });
  const peakOf = (name: string) => planned.find((one) => one.name === name)?.report.peakBytes;
  const plain = peakOf('dense')!;
  const selective = peakOf('dense, cheap recompute');
  const checkpointed = peakOf('dense, layer checkpointing');
  const peaks = planned.map(({ name, report, planSeconds }): PlannedPeak => {
    const { peakBytes, persistentBytes, arenaBytes, arenaLowerBoundBytes, byKind } = report;
    return {
      variant: name,
      peakBytes,
      persistentBytes,
      arenaBytes,
      arenaLowerBoundBytes,
      byKind,
      shareOfPlain: peakBytes / plain,
      shareOfSelective: selective && peakBytes / selective,
      shareOfCheckpointed: checkpointed && peakBytes / checkpointed,
      planSeconds,
    };
  });
  return { model, numParameters: llama(model).numParameters, peaks };
}

/** What compression saves in the published accounting, for the models whose savings were published. */
export function plannedSavings(table: PlannedTable): PlannedSaving[] {
  const models = table.models.filter(({ model }) => publishedResults.models.some((known) => known === model));
  return models.flatMap(({ model, peaks }) =>
    rankRatios.map((rankRatio, index) => ({
      model,
      rankRatio,
      plannedBytes: peaks[0]!.peakBytes - peaks[index + 1]!.peakBytes,
      publishedBytes: publishedSavingBytes(model, rankRatio),
    })),
  );
}

/** The variants whose whole timeline the page shows, for one model. */
export function timelineRequests(model: LlamaPreset): PlanRequest[] {
  const [dense, cheap, layer, , , , , lazy, , both] = variants(model, 'ours');
  return [dense!, cheap!, layer!, lazy!, both!].map(({ request }) => request);
}

/** The smallest of a model's planned peaks. */
export const smallestPeak = ({ peaks }: PlannedModel): PlannedPeak =>
  peaks.reduce((a, b) => (b.peakBytes < a.peakBytes ? b : a));

/** What a dense method is called where others are compared with it; undefined of a method that is no baseline. */
export const baselineName = ({ variant }: Pick<PlannedPeak, 'variant'>): string | undefined =>
  new Map([
    ['dense', 'plain'],
    ['dense, cheap recompute', 'selective'],
    ['dense, layer checkpointing', 'checkpointed'],
  ]).get(variant);
