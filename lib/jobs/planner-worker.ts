// The thread of planner.ts: recipes come in, plans go out.
import { parentPort, workerData } from 'node:worker_threads';
import { planJob, type PlanningOptions } from './plan-job.js';
import type { PlanAnswer, PlanQuestion } from './planner.js';
import { plainError } from './process/plain-error.js';

const answer = (message: PlanAnswer): void => parentPort!.postMessage(message, []);
let before: Promise<void> = Promise.resolve();

parentPort!.on('message', ({ id, recipe }: PlanQuestion) => {
  before = before
    .then(() => planJob(recipe, workerData as PlanningOptions))
    .then((plan) => answer({ id, plan }))
    .catch((error: unknown) => answer({ id, error: plainError(error) }));
});
