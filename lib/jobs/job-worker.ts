import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isCompactError } from '../errors.js';
import { exportTrained } from '../train/fine-tune.js';
import { fineTuneOptions, Trainer } from '../train/index.js';
import type { FineTuneResult, TrainerOptions } from '../train/index.js';
import type { JobResult } from './job.js';
import { jobOptions, samplePromptsOf } from './job-recipe.js';
import { JobReporter, type KnownProgress } from './job-reporter.js';
import type { JobProgress } from './job-store.js';
import type { JobOutcome, JobTask } from './job-task.js';
import { writeSamples } from './sample-prompts.js';
import { serveTask, type TaskContext } from './process/serve-task.js';

/** Where memory runs out, Linux ends the process of a job sooner than its server. */
const sacrifice = 500;
writeFile('/proc/self/oom_score_adj', String(sacrifice)).catch(() => {}); // other systems have no such file

// The process of a job.
serveTask(train);

/** A process that was lost gives back its folder when it has ended, a moment after whoever had begun it. */
const lockedForMs = 60_000;
const lockPollMs = 100;

async function train(task: JobTask, { tell, stop }: TaskContext<JobProgress>): Promise<JobOutcome> {
  const { recipe, folder, device, threads, known, maxSteps } = task;
  const stopped = { isComplete: false, result: { step: known.step } };
  const starting = new AbortController();
  let end = (): void => starting.abort(stop.reason);
  stop.addEventListener('abort', () => end());
  const given = await jobOptions(recipe, task);
  const options: TrainerOptions = {
    ...(await fineTuneOptions({ threads, ...given, device })),
    signal: starting.signal,
  };
  const reporter = new JobReporter(tell, known, {
    folder,
    maxSteps,
    loggingSteps: options.loggingSteps ?? 10,
  });
  if (stop.aborted) return stopped;
  let trainer: Trainer;
  try {
    trainer = await createUnlocked(options);
  } catch (error) {
    if (stop.aborted && isCompactError(error, 'ERR_COMPACT_ABORTED')) return stopped;
    throw error;
  }
  await using running = trainer;
  end = () => running.requestStop();
  if (stop.aborted) end();
  const prompts = samplePromptsOf(recipe);
  const samplesOf = (step: number) => writeSamples(running, step, prompts);
  if (running.resumedFrom !== undefined) await reporter.catchUp(running.resumedFrom, samplesOf);
  tellStart(running, reporter, known);
  reporter.listen(running, samplesOf);
  const trained = await running.run();
  await reporter.settled();
  if (trained.checkpoint !== undefined) reporter.checkpoint(trained.checkpoint);
  const isComplete = trained.reason !== 'stopped';
  const result = isComplete
    ? await exportTrained(trained, options)
    : { ...trained, folder: undefined, adapters: undefined };
  return { isComplete, result: resultOf(result, reporter) };
}

/** The folder may still be that of a process that is about to end. */
async function createUnlocked(options: TrainerOptions): Promise<Trainer> {
  for (let waitedMs = 0; ; waitedMs += lockPollMs) {
    try {
      return await Trainer.create(options);
    } catch (error) {
      if (!isCompactError(error, 'ERR_COMPACT_OUTPUT_LOCKED') || waitedMs >= lockedForMs) throw error;
      await wait(lockPollMs);
    }
  }
}

function tellStart(trainer: Trainer, reporter: JobReporter, { attempts }: KnownProgress): void {
  const { resumedFrom, step, device } = trainer;
  // What is told of the data is so each time.
  if (attempts <= 1) for (const warning of trainer.data.warnings) reporter.message(warning, 'warn');
  const what = resumedFrom === undefined ? 'Training begins' : `Training goes on after step ${step}`;
  reporter.message(`${what} on ${device.name}`, 'info', { step, device: device.name });
}

/** Paths are below the job's folder. */
const resultOf = (
  { folder, adapters, checkpoint, step }: FineTuneResult,
  reporter: JobReporter,
): JobResult => ({
  folder: folder && basename(folder),
  adapters: adapters && basename(adapters),
  checkpoint: checkpoint && basename(checkpoint.path),
  step,
  loss: reporter.loss,
  evalLoss: reporter.evalLoss,
});
