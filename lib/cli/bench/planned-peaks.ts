import type { Accounting, Target } from '../../compile/index.js';
import { llama, type LlamaPreset } from '../../models/index.js';
import { describeRequest, planRequest, type PlanRequest } from '../plan-request.js';
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
  onModel: (model: string) => void,
): PlannedTable {
  return {
    accounting,
    batchSize: size.batch,
    sequenceLength: size.sequence,
    dtype: size.dtype,
    models: plannedModels.map((model) => {
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
  const plain = planned[0]!.report.peakBytes;
  const selective = planned.find(({ request }) => request.recompute === 'cheap')?.report.peakBytes;
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
  const [dense, cheap, , , , , , lazy] = variants(model, 'ours');
  return [dense!, cheap!, lazy!];
}
