import type { Accounting, RecomputePolicy, Target } from '../../../compile/index.js';
import { llama, type LlamaPreset } from '../../../models/index.js';
import { describeRequest, planRequest, type PlanRequest } from '../../plan-request.js';
import { plannedThreads } from '../../planned-threads.js';
import { publishedResults, publishedSavingBytes } from './published-figures.js';
import type { PlannedModel, PlannedPeak, PlannedSaving, PlannedTable } from './report.js';

/** The micro-batch of the paper's pretraining runs: 32,768 tokens. */
const size = { batch: 128, sequence: 256, dtype: 'bf16' } as const;
const rankRatios = [1 / 2, 1 / 4, 1 / 8] as const;

const plannedModels: readonly LlamaPreset[] = [
  'llama-60m', 'llama-130m', 'llama-350m', 'llama-1b', 'llama-3b', 'llama-7b', 'llama-13b', 'llama-33b', 'llama-65b',
]; // prettier-ignore

/** Both baselines first: shares of the peak are taken against them. */
function variants(model: string, accounting: Accounting): PlanRequest[] {
  const base = { model, ...size, accounting };
  const compact = rankRatios.map((rankRatio) => ({ ...base, method: 'compact', rankRatio }) as const);
  const stored = compact.map((request) => ({ ...request, store: 'stored' }) as const);
  const dense = { ...base, method: 'dense' } as const;
  if (accounting === 'published') return [dense, ...stored];
  const lazy = compact.map((request) => ({ ...request, store: 'lazy' }) as const);
  const both = { ...lazy[1]!, recompute: 'layer' } as const;
  return [
    dense,
    { ...dense, recompute: 'cheap' },
    { ...dense, recompute: 'layer' },
    ...stored,
    ...lazy,
    both,
  ];
}

/** Planned peaks of every model and method; `onModel` is told before each model. */
export function plannedTable(
  accounting: Accounting,
  target: Target,
  onModel: (model: string) => void = () => {},
  models = plannedModels,
): PlannedTable {
  return {
    accounting,
    batchSize: size.batch,
    sequenceLength: size.sequence,
    dtype: size.dtype,
    threads: target.device === 'cpu' ? plannedThreads : undefined,
    models: models.map((model) => {
      onModel(model);
      return plannedModel(model, accounting, target);
    }),
  };
}

function plannedModel(model: LlamaPreset, accounting: Accounting, target: Target): PlannedModel {
  const planned = variants(model, accounting).map((request) => ({
    request,
    ...planRequest(request, target),
  }));
  const densePeak = (policy: RecomputePolicy | undefined) =>
    planned.find(({ request }) => request.method === 'dense' && request.recompute === policy)?.report
      .peakBytes;
  const plain = densePeak(undefined)!;
  const selective = densePeak('cheap');
  const checkpointed = densePeak('layer');
  const peaks = planned.map(({ request, report, planSeconds }): PlannedPeak => {
    const { peakBytes, persistentBytes, arenaBytes, arenaLowerBoundBytes, byKind } = report;
    return {
      variant: describeRequest(request),
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
  return [dense!, cheap!, layer!, lazy!, both!];
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
