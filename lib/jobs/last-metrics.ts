import type { NewJobEvent } from './job.js';

/** The last step of a job of which metrics are recorded, and the names of what was recorded of it. */
export interface LastMetrics {
  readonly step: number;
  readonly names: readonly string[];
}

export const noMetrics: LastMetrics = { step: -1, names: [] };

/**
 * The last metrics with an event, or undefined when the event tells nothing new: a job that lost its process repeats the
 * steps since its last checkpoint. Of the last step there may be more to tell, such as losses of an evaluation.
 */
export function withMetrics(last: LastMetrics, { data }: NewJobEvent): LastMetrics | undefined {
  const { step } = data;
  if (typeof step !== 'number') return last;
  const names = Object.keys(data);
  if (step > last.step) return { step, names };
  if (step < last.step || names.every((name) => last.names.includes(name))) return undefined;
  return { step, names: [...new Set([...last.names, ...names])] };
}
