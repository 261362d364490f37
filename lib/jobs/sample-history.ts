import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NewJobEvent } from './job.js';
import { readJsonLines } from './json-lines.js';

/** What a job's model wrote after a step. */
interface StepSamples {
  readonly step: number;
  readonly samples: readonly NewJobEvent[];
}

const fileIn = (folder: string): string => join(folder, 'samples.jsonl');

/** Keeps samples in a job's folder. They are there when this returns, and so before a checkpoint of a later step. */
export function keepSamples(folder: string, kept: StepSamples): void {
  // A line that a crash has cut ends here.
  appendFileSync(fileIn(folder), `\n${JSON.stringify(kept)}\n`);
}

/** What was kept, by step. */
export async function readSamples(folder: string): Promise<ReadonlyMap<number, readonly NewJobEvent[]>> {
  const lines = await readJsonLines<StepSamples>(fileIn(folder));
  return new Map(lines.map(({ step, samples }) => [step, samples]));
}
