import { join } from 'node:path';
import type { NewJobEvent } from './job.js';
import { readJsonLines } from './json-lines.js';

/** What was measured in a step, by name. */
export type StepMetrics = { readonly step: number } & Readonly<Record<string, unknown>>;

/** What a run has measured so far: the lines of its metrics.jsonl, those of one step in one. */
export async function readMetricsHistory(folder: string): Promise<readonly StepMetrics[]> {
  const steps = new Map<number, StepMetrics>();
  for (const metrics of await readJsonLines<StepMetrics>(join(folder, 'metrics.jsonl')))
    steps.set(metrics.step, { ...steps.get(metrics.step), ...metrics });
  return [...steps.values()];
}

/** The event that tells of them, in values as JSON has them. */
export function metricsEvent(metrics: StepMetrics, maxSteps: number): NewJobEvent {
  const { step, loss, evalLoss } = metrics;
  const parts = [
    ...(typeof loss === 'number' ? [`training loss ${loss.toFixed(4)}`] : []),
    ...(typeof evalLoss === 'number' ? [`held-out loss ${evalLoss.toFixed(4)}`] : []),
  ];
  return {
    level: 'info',
    type: 'metrics',
    message: `Step ${step} of ${maxSteps}: ${parts.join(', ')}`,
    data: JSON.parse(JSON.stringify(metrics)) as Readonly<Record<string, unknown>>,
  };
}
