import type { Target } from '../compile/index.js';
import { describeRequest, planRequest, type PlanRequest } from './plan-request.js';

/** A change of a request, and what it would need. */
export interface Remedy {
  /** Flags of `compact-train plan` that make the change. */
  readonly change: string;
  readonly variant: string;
  readonly peakBytes: number;
  readonly fits: boolean;
}

/** Largest batch of one method on a device, 0 when not even one sequence fits. */
export interface LargestBatch {
  readonly variant: string;
  readonly batch: number;
  readonly peakBytes: number | undefined;
}

/** The methods that are compared when a size is asked for: from what everybody runs to what holds least. */
export function alternatives(request: PlanRequest): PlanRequest[] {
  const { rank, rankRatio, store: _store, sharing: _sharing, recompute: _recompute, ...rest } = request;
  const compact = { ...rest, method: 'compact', rank, rankRatio } as const;
  const dense = { ...rest, method: 'dense' } as const;
  return [
    { ...dense, recompute: 'none' },
    { ...dense, recompute: 'cheap' },
    { ...dense, recompute: 'layer' },
    { ...compact, store: 'stored', recompute: 'none' },
    { ...compact, store: 'lazy', recompute: 'none' },
    { ...compact, store: 'lazy', recompute: 'layer' },
  ];
}

export function largestBatches(request: PlanRequest, memoryBytes: number, target: Target): LargestBatch[] {
  return alternatives(request).map((alternative) => ({
    variant: describeRequest(alternative),
    ...largestBatch(alternative, memoryBytes, target),
  }));
}

/**
 * Largest batch whose peak fits. The peak grows almost linearly with the batch, so a straight line through two known
 * points lands next to the answer; every guess is planned in full.
 */
export function largestBatch(
  request: PlanRequest,
  memoryBytes: number,
  target: Target,
): { batch: number; peakBytes: number | undefined } {
  const peakAt = (batch: number): number => planRequest({ ...request, batch }, target).report.peakBytes;
  let fits = { batch: 1, peakBytes: peakAt(1) };
  if (fits.peakBytes > memoryBytes) return { batch: 0, peakBytes: undefined };
  let previous = { batch: 0, peakBytes: 0 };
  let tooLarge = Infinity;
  while (tooLarge - fits.batch > 1) {
    const slope = (fits.peakBytes - previous.peakBytes) / (fits.batch - previous.batch);
    const guess = fits.batch + Math.floor((memoryBytes - fits.peakBytes) / slope);
    // Inside the open interval, and never more than 32 times further than what is known to fit.
    const batch = Math.max(fits.batch + 1, Math.min(guess, tooLarge - 1, fits.batch * 32));
    const peakBytes = peakAt(batch);
    if (peakBytes <= memoryBytes) [previous, fits] = [fits, { batch, peakBytes }];
    else tooLarge = batch;
  }
  return fits;
}

/** Three changes of a request that is too large, with what each would need: the ones that fit come first. */
export function remediesFor(request: PlanRequest, memoryBytes: number, target: Target): Remedy[] {
  const asked = describeRequest(request);
  const methods = alternatives(request)
    .filter((alternative) => describeRequest(alternative) !== asked)
    .map((alternative) => ({ alternative, peakBytes: planRequest(alternative, target).report.peakBytes }));
  const current = planRequest(request, target).report.peakBytes;
  const useful = methods.filter(({ peakBytes }) => peakBytes < current);
  const fitting = useful.filter(({ peakBytes }) => peakBytes <= memoryBytes);
  const others = useful.filter(({ peakBytes }) => peakBytes > memoryBytes).sort((a, b) => a.peakBytes - b.peakBytes);
  const smaller = largestBatch(request, memoryBytes, target);
  const remedies: Remedy[] = [...fitting, ...others].map(({ alternative, peakBytes }) => ({
    change: flagsOf(alternative),
    variant: describeRequest(alternative),
    peakBytes,
    fits: peakBytes <= memoryBytes,
  }));
  if (smaller.peakBytes !== undefined)
    remedies.splice(Math.min(2, remedies.length), 0, {
      change: `--batch ${smaller.batch}`,
      variant: asked,
      peakBytes: smaller.peakBytes,
      fits: true,
    });
  else if (request.sequence > 1) {
    const sequence = Math.ceil(request.sequence / 2);
    const { peakBytes } = planRequest({ ...request, batch: 1, sequence }, target).report;
    const change = `--batch 1 --sequence ${sequence}`;
    remedies.push({ change, variant: asked, peakBytes, fits: peakBytes <= memoryBytes });
  }
  return remedies.sort((a, b) => Number(b.fits) - Number(a.fits)).slice(0, 3);
}

function flagsOf({ method, store, recompute }: PlanRequest): string {
  const flags = [`--method ${method}`];
  if (store !== undefined) flags.push(`--store ${store}`);
  if (recompute !== undefined && recompute !== 'none') flags.push(`--recompute ${recompute}`);
  return flags.join(' ');
}
